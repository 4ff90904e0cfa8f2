//! Every field of every body, as the document lists them, with what nobody should send: the answer is one that the document
//! knows, says nothing of what is inside, and a refusal leaves everything as it was.

use super::authorization::without_refusals;
use super::bad_input::hostile;
use super::world::{Shown, World, at, fields_of, name, operation};
use crate::extract::Need;
use crate::routes::{Row, rows};
use crate::testing::Answer;
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};

/// Rows that read a body; what takes things away comes last.
fn with_bodies(document: &Value) -> Vec<Row> {
    let mut all: Vec<Row> = rows().into_iter().filter(|row| !fields_of(document, row).is_empty()).collect();
    all.sort_by_key(|row| (row.method == "DELETE", std::cmp::Reverse(row.path.clone())));
    all
}

struct Corpus {
    world: World,
    document: Value,
    session: Shown,
    token: Shown,
}

impl Corpus {
    async fn new() -> Self {
        let world = World::new().await;
        let session = Shown::Cookie(world.app.session(&world.ann.person).await);
        let token = Shown::Bearer(world.ann.person.token.clone());
        Self { document: serde_json::to_value(crate::openapi()).unwrap(), world, session, token }
    }

    fn who(&self, row: &Row) -> &Shown {
        if row.need == Need::Session || row.need.is_open() { &self.session } else { &self.token }
    }

    fn path(&self, row: &Row) -> String {
        // Nobody suspends, removes or limits themselves here: the corpus has to go on.
        let of_others = row.path.starts_with("/api/system/users") || row.path.starts_with("/api/system/teams");
        let team = if of_others { &self.world.bob } else { &self.world.ann };
        if row.path.contains("{id}") { at(row, team.id(&row.path)) } else { row.path.clone() }
    }

    /// A good body; the example of the document where the world has none.
    fn base(&self, row: &Row) -> Value {
        let body = self.world.ann.body(row);
        if row.path == "/api/account" {
            return json!({"confirm": "not Ann's address"});
        }
        match body.as_object().is_some_and(|map| map.is_empty()) {
            true => {
                let operation = operation(&self.document, row);
                let contents = operation["requestBody"]["content"].as_object().unwrap();
                contents.values().next().unwrap()["example"].clone()
            }
            false => body,
        }
    }

    async fn rows(&self) -> Vec<String> {
        without_refusals(self.world.anns_rows().await)
    }
}

/// `body` with `value` at the end of `path`, whatever stood on the way.
fn with(mut body: Value, path: &[String], value: Value) -> Value {
    let mut place = &mut body;
    for key in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key.as_str()];
    }
    *place = value;
    body
}

/// Whether everything was good, and there is nobody here to do it.
fn needs_worker(answer: &Answer) -> bool {
    answer.status == 503 && answer.json()["code"] == "no_worker"
}

fn assert_said_well(what: &str, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.bytes);
    assert!(answer.status.as_u16() < 500 || needs_worker(answer), "{what}: {} {text}", answer.status);
    for inside in ["panicked", "src/", "sqlx", "SQLSTATE", "sea_orm", "postgres:"] {
        assert!(!text.contains(inside), "{what}: {text}");
    }
    if answer.headers.get("content-type").is_some_and(|kind| kind == "application/json") && !answer.status.is_success()
    {
        let body = answer.json();
        assert!(["error", "message", "code"].iter().all(|key| body[key].is_string()), "{what}: {body}");
    }
}

/// One share of the rows, so that several tests can run at once.
async fn every_field_of(share: usize, shares: usize) {
    let corpus = Corpus::new().await;
    let values = hostile();
    let mut before = corpus.rows().await;
    let mut checked = 0;
    let share = with_bodies(&corpus.document).into_iter().enumerate().filter(|(at, _)| at % shares == share);
    for (_, row) in share {
        let (path, base) = (corpus.path(&row), corpus.base(&row));
        for (field, _) in fields_of(&corpus.document, &row) {
            let mut was_done = false;
            for value in &values {
                let body = with(base.clone(), &field, value.clone());
                let answer = corpus.world.app.as_who(corpus.who(&row), 1, (&row.method, &path), &body).await;
                assert_said_well(&format!("{} {}={value:.60}", name(&row), field.join(".")), &answer);
                was_done |= answer.status.is_success() || needs_worker(&answer);
                checked += 1;
            }
            let after = corpus.rows().await;
            assert!(
                was_done || after == before,
                "{} {}: every value was refused, and something was done",
                name(&row),
                field.join(".")
            );
            before = after;
        }
    }
    assert!(checked > 500, "only {checked} values");
}

#[tokio::test]
async fn a_bad_value_of_any_field_is_refused_whole_first_share() {
    every_field_of(0, 3).await;
}

#[tokio::test]
async fn a_bad_value_of_any_field_is_refused_whole_second_share() {
    every_field_of(1, 3).await;
}

#[tokio::test]
async fn a_bad_value_of_any_field_is_refused_whole_third_share() {
    every_field_of(2, 3).await;
}

/// `text` in the frame of a gzip stream, stored.
fn gzipped(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_by_every_route_that_reads_one() {
    let corpus = Corpus::new().await;
    let before = corpus.rows().await;
    let deep = format!("{{\"label\": {}1{}}}", "[".repeat(100), "]".repeat(100));
    let deeper = format!("{{\"label\": {}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000));
    let giant = format!("{{\"label\": \"{}\"}}", "x".repeat(1 << 20));
    let json = "application/json";
    let bodies: [(&str, &str, Vec<u8>, &[u16]); 14] = [
        ("truncated", json, b"{\"label\": \"a".to_vec(), &[400]),
        ("a list", json, b"[]".to_vec(), &[400]),
        ("null", json, b"null".to_vec(), &[400]),
        ("half a pair", json, b"{\"label\": \"\\ud800\"}".to_vec(), &[400]),
        ("not UTF-8", json, b"{\"label\": \"\xff\"}".to_vec(), &[400]),
        ("a huge number", json, b"{\"label\": 1e999}".to_vec(), &[400]),
        ("deep", json, deep.into_bytes(), &[400]),
        ("deeper", json, deeper.into_bytes(), &[400]),
        ("giant", json, giant.into_bytes(), &[413]),
        ("two values", json, b"{} {}".to_vec(), &[400]),
        ("text", "text/plain", b"{}".to_vec(), &[415]),
        ("xml", "application/xml", b"<a/>".to_vec(), &[415]),
        ("no boundary", "multipart/form-data", b"nonsense".to_vec(), &[415]),
        ("no type at all", "\u{1}", b"{}".to_vec(), &[400, 415]),
    ];
    for row in with_bodies(&corpus.document) {
        let is_page = operation(&corpus.document, &row)["requestBody"]["content"].get(json).is_none();
        let (path, base) = (corpus.path(&row), corpus.base(&row).to_string());
        for (what, kind, body, wanted) in &bodies {
            let answer = send(&corpus, &row, &path, (kind, None), body.clone()).await;
            let what = format!("{}: {what}", name(&row));
            assert_said_well(&what, &answer);
            let is_refused = wanted.contains(&answer.status.as_u16()) || (is_page && answer.status.is_client_error());
            assert!(is_refused, "{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes));
        }
        let answer = send(&corpus, &row, &path, (json, Some("gzip")), gzipped(&base)).await;
        assert!(answer.status.is_client_error(), "{}: compressed: {}", name(&row), answer.status);
    }
    assert_eq!(corpus.rows().await, before, "a refused body did something");
}

async fn send(corpus: &Corpus, row: &Row, path: &str, (kind, coding): (&str, Option<&str>), body: Vec<u8>) -> Answer {
    let mut request =
        Request::builder().method(row.method.as_str()).uri(path).header(header::ORIGIN, "http://example.com");
    if let Ok(kind) = header::HeaderValue::from_str(kind) {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    if let Some(coding) = coding {
        request = request.header(header::CONTENT_ENCODING, coding);
    }
    request = match corpus.who(row) {
        Shown::Bearer(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        Shown::Cookie(secret) => request.header(header::COOKIE, format!("holdfast_session={secret}")),
        Shown::Nothing => request,
    };
    corpus.world.app.send(request.body(Body::from(body)).unwrap()).await
}

/// JSON does not say what two equal keys mean; whatever is made of them, it is one of the two.
#[tokio::test]
async fn the_last_of_two_equal_keys_counts() {
    let corpus = Corpus::new().await;
    let row = rows().into_iter().find(|row| row.method == "POST" && row.path == "/api/tags").unwrap();
    let body = b"{\"label\": \"one\", \"label\": \"two\"}".to_vec();
    let answer = send(&corpus, &row, "/api/tags", ("application/json", None), body).await;
    assert_eq!(answer.json()["data"]["label"], "two");
}
