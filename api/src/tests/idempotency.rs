//! A repeated request is answered, not carried out again.

use crate::idempotency::{SHOWS_SECRET, is_repeatable};
use crate::routes::rows;
use crate::testing::{Answer, App, Person};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn post(app: &App, who: &Person, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", who.token))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .unwrap();
    app.send(request).await
}

fn destination(label: &str) -> Value {
    json!({"label": label, "type": "local"})
}

async fn count(app: &App, sql: &str) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&app.database.owner_pool().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_same_request_again_gets_the_first_answer() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let path = "/api/backup-destinations";
    let first = post(&app, &ann, path, "k-1", &destination("d")).await;
    assert_eq!(first.status, 201);
    assert!(!first.headers.contains_key("idempotent-replayed"));
    for spelling in ["k-1", "\"k-1\""] {
        let again = post(&app, &ann, path, spelling, &destination("d")).await;
        assert_eq!((again.status.as_u16(), &again.bytes), (201, &first.bytes));
        assert_eq!(again.headers["idempotent-replayed"], "true");
    }
    let other = post(&app, &ann, path, "k-1", &destination("e")).await;
    assert_eq!(other.status, 422);
    assert_eq!(other.json()["code"], "idempotency_key_reused");
    let elsewhere = post(&app, &ann, "/api/remote-servers", "k-1", &destination("d")).await;
    assert_eq!(elsewhere.json()["code"], "idempotency_key_reused");
    assert_eq!(count(&app, "SELECT count(*) FROM backup_destinations").await, 1);
    let bob = app.person("bob@example.com", Abilities::All).await;
    let of_bob = post(&app, &bob, path, "k-1", &destination("d")).await;
    assert_eq!(of_bob.status, 201, "a key is its owner's alone");
    assert_ne!(of_bob.json()["data"]["id"], first.json()["data"]["id"]);
    app.pass(chrono::TimeDelta::hours(25));
    assert_eq!(post(&app, &ann, path, "k-1", &destination("later")).await.status, 201, "a day later it is free again");
}

#[tokio::test]
async fn fifty_at_once_start_one_run() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}/run", made.task);
    let nothing = json!({});
    let answers = futures_util::future::join_all((0..50).map(|_| post(&app, &ann, &path, "once", &nothing))).await;
    let fresh = answers.iter().filter(|a| a.status == 202 && !a.headers.contains_key("idempotent-replayed")).count();
    assert_eq!(fresh, 1);
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.json()["code"], "idempotency_in_progress");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(count(&app, "SELECT count(*) FROM backup_runs").await, 1);
    let after = post(&app, &ann, &path, "once", &nothing).await;
    assert_eq!((after.status.as_u16(), &after.headers["idempotent-replayed"]), (202, &"true".parse().unwrap()));
}

#[tokio::test]
async fn what_came_to_nothing_is_not_remembered() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let path = "/api/backup-destinations";
    assert_eq!(post(&app, &ann, path, "k", &json!({"label": "d"})).await.status, 422);
    assert_eq!(post(&app, &ann, path, "k", &destination("d")).await.status, 201, "mended, under the same key");
    for bad in ["", " ", "a b", "\u{e9}", &"x".repeat(256)] {
        let refused = post(&app, &ann, path, bad, &destination("d")).await;
        assert_eq!(refused.json()["code"], "idempotency_key_invalid", "{bad:?}");
    }
    assert_eq!(count(&app, "SELECT count(*) FROM backup_destinations").await, 1);
}

#[tokio::test]
async fn a_request_whose_process_died_is_never_carried_out_again() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let path = "/api/backup-destinations";
    post(&app, &ann, path, "k", &destination("d")).await;
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE idempotency_keys SET status = NULL, answer = NULL").execute(&pool).await.unwrap();
    assert_eq!(post(&app, &ann, path, "k", &destination("d")).await.json()["code"], "idempotency_in_progress");
    app.pass(chrono::TimeDelta::minutes(11));
    assert_eq!(post(&app, &ann, path, "k", &destination("d")).await.json()["code"], "idempotency_outcome_unknown");
    sqlx::query("UPDATE idempotency_keys SET status = 201, answer = NULL").execute(&pool).await.unwrap();
    assert_eq!(post(&app, &ann, path, "k", &destination("d")).await.json()["code"], "idempotency_answer_not_kept");
    assert_eq!(count(&app, "SELECT count(*) FROM backup_destinations").await, 1);
}

#[tokio::test]
async fn an_answer_that_shows_a_secret_is_never_kept() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let stream = json!({"label": "n", "type": "webhook", "value": "https://hooks.example.com/x", "notifications": {"on_success": false, "on_failure": true}});
    let webhook = format!("/api/backup-tasks/{}/webhook", made.task);
    for (path, body) in [("/api/notification-streams", stream), (webhook.as_str(), json!({}))] {
        let first = post(&app, &ann, path, path, &body).await;
        assert_eq!(first.status, 201, "{path}: {}", String::from_utf8_lossy(&first.bytes));
        assert!(first.json()["data"]["secret"].is_string(), "{path}: shows its secret");
        let again = post(&app, &ann, path, path, &body).await;
        assert_eq!(again.json()["code"], "idempotency_answer_not_kept", "{path}");
    }
    let session = app.session(&ann).await;
    let token = async || {
        let request = Request::post("/api/tokens")
            .header(header::ORIGIN, "http://example.com")
            .header(header::COOKIE, format!("holdfast_session={session}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "token")
            .body(Body::from(json!({"name": "ci", "abilities": ["view-backups"]}).to_string()));
        app.send(request.unwrap()).await
    };
    let (first, again) = (token().await, token().await);
    assert_eq!(first.status, 201, "{}", String::from_utf8_lossy(&first.bytes));
    assert_eq!(again.json()["code"], "idempotency_answer_not_kept");
    assert_eq!(count(&app, "SELECT count(*) FROM idempotency_keys").await, 3);
    assert_eq!(count(&app, "SELECT count(*) FROM idempotency_keys WHERE answer IS NOT NULL").await, 0);
}

/// Names of text fields that seem to hold a secret, anywhere in a schema of the document.
fn secrets_in(document: &Value, schema: &Value, seen: &mut BTreeSet<String>) -> Vec<String> {
    /// Names of fields, not what is in them.
    const HARMLESS: &[&str] = &["secrets_to_enter", "secret_name"];
    const WORDS: &[&str] = &["secret", "token", "password", "passphrase", "recovery_codes", "private", "credential"];
    if let Some(name) = schema["$ref"].as_str() {
        let known = !seen.insert(name.to_owned());
        let target = document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} is not there"));
        return if known { Vec::new() } else { secrets_in(document, target, seen) };
    }
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_text = property["type"] != "boolean" && property["type"] != "integer";
        if is_text && !HARMLESS.contains(&name.as_str()) && WORDS.iter().any(|word| name.contains(word)) {
            found.push(name.clone());
        }
    }
    let children = schema.as_object().into_iter().flatten().map(|(_, child)| child);
    for child in children.chain(schema.as_array().into_iter().flatten()) {
        found.extend(secrets_in(document, child, seen));
    }
    found
}

#[test]
fn every_repeatable_route_whose_answer_can_show_a_secret_is_listed() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let mut showing = BTreeSet::new();
    let rows = rows();
    for row in rows.iter().filter(|row| is_repeatable(&row.method, &row.path, row.need)) {
        let answers = document["paths"][&row.path]["post"]["responses"].as_object().unwrap();
        // A route that only ever refuses shows nothing.
        let Some((_, success)) = answers.iter().find(|(status, _)| status.starts_with('2')) else { continue };
        let schema = &success["content"]["application/json"]["schema"];
        assert!(schema.is_object() || success["content"].is_null(), "{}: its answer has a shape", row.path);
        if !secrets_in(&document, schema, &mut BTreeSet::new()).is_empty() {
            showing.insert(row.path.as_str());
        }
    }
    assert_eq!(showing, SHOWS_SECRET.iter().copied().collect(), "left: what the document shows; right: what is listed");
}

#[test]
fn what_is_done_to_a_session_is_never_answered_from_memory() {
    let repeatable = |path: &str| {
        let row = rows().into_iter().find(|row| row.method == "POST" && row.path == path).expect(path);
        is_repeatable(&row.method, &row.path, row.need)
    };
    for path in ["/api/auth/login", "/api/auth/confirm-password", "/api/user/password", "/api/user/two-factor/confirm"]
    {
        assert!(!repeatable(path), "{path}");
    }
    assert!(repeatable("/api/tokens") && repeatable("/api/backup-tasks/{id}/run"));
}
