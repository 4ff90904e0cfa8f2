//! The OpenAPI document is committed, so that a change of the contract is a change that somebody reads.

mod encodings;
mod examples;
mod rules;
mod samples;
mod shape;

use crate::testing::App;
use serde_json::{Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
fn the_committed_document_is_the_one_in_the_code() {
    let document = crate::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(PATH, document).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(committed == document, "the contract changed: look at it, then run the tests with HOLDFAST_BLESS=1");
}

#[tokio::test]
async fn the_document_is_served_as_it_is_committed() {
    let app = App::start().await;
    let served = app.call("", "GET", "/api/openapi.json", Value::Null).await;
    assert_eq!(served.status, 200);
    assert_eq!(served.json(), serde_json::to_value(crate::openapi()).unwrap());
    assert!(served.json()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    fn walk(value: &Value, root: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("a reference within the document");
                    assert!(root.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                map.values().for_each(|inner| walk(inner, root));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, root)),
            _ => {}
        }
    }
    walk(&document, &document);
}

#[tokio::test]
async fn everything_under_api_is_json_whatever_goes_wrong() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", holdfast_domain::Abilities::All).await;
    for (method, path, status) in [
        ("GET", "/api/nope", 404),
        ("GET", "/api/", 404),
        ("DELETE", "/api/backup-tasks", 405),
        ("POST", "/api/backup-tasks/1", 405),
        ("GET", "/api/backup-tasks/abc", 404),
        ("GET", "/api/backup-tasks/9999999999999999999999", 404),
    ] {
        let answer = app.call(&ann.token, method, path, Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        let body = answer.json();
        for key in ["error", "message", "code"] {
            assert!(body[key].is_string(), "{method} {path}: {body}");
        }
    }
    let allowed = app.call(&ann.token, "DELETE", "/api/backup-tasks", Value::Null).await;
    let allow = allowed.headers["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn a_trailing_slash_and_head_work() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", holdfast_domain::Abilities::All).await;
    assert_eq!(app.call(&ann.token, "GET", "/api/user/", Value::Null).await.status, 200);
    let head = app.call(&ann.token, "HEAD", "/api/backup-tasks", Value::Null).await;
    assert_eq!(head.status, 200);
    assert!(head.bytes.is_empty());
}

#[tokio::test]
async fn the_process_says_whether_it_lives_and_whether_it_can_answer() {
    let app = App::start().await;
    assert_eq!(app.call("", "GET", "/up", Value::Null).await.status, 200);
    assert_eq!(app.call("", "GET", "/readyz", Value::Null).await.status, 200);
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let app = App::with_limits(10, 2).await;
    let ann = app.person("ann@example.com", holdfast_domain::Abilities::All).await;
    let bob = app.person("bob@example.com", holdfast_domain::Abilities::All).await;
    for left in (0..10).rev() {
        let answer = app.call(&ann.token, "GET", "/api/user", Value::Null).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["x-ratelimit-limit"], "10");
        assert_eq!(answer.headers["x-ratelimit-remaining"], left.to_string().as_str());
    }
    let refused = app.call(&ann.token, "GET", "/api/user", Value::Null).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["message"], "Too Many Attempts.");
    assert_eq!(refused.headers["retry-after"], "7");
    assert!(refused.headers.contains_key("x-ratelimit-reset"));
    assert_eq!(app.call(&bob.token, "GET", "/api/user", Value::Null).await.status, 200);
    app.pass(chrono::TimeDelta::seconds(7));
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 200);
}

#[tokio::test]
async fn starting_runs_has_a_limit_of_its_own_that_counts_every_try() {
    let app = App::with_limits(100, 2).await;
    let ann = app.person("ann@example.com", holdfast_domain::Abilities::All).await;
    for _ in 0..2 {
        let answer = app.call(&ann.token, "POST", "/api/backup-tasks/1/run", json!({})).await;
        assert_eq!(answer.status, 404);
    }
    let refused = app.call(&ann.token, "POST", "/api/backup-tasks/1/run", json!({})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["message"], "Too many requests. Please try again later.");
    assert_eq!(refused.headers["x-ratelimit-limit"], "2");
}
