//! Whatever comes in, nothing answers 500 and no answer shows what is inside.

use crate::testing::App;
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// What no field should be.
pub(super) fn hostile() -> Vec<Value> {
    let long = "x".repeat(100_000);
    vec![
        json!(null),
        json!(""),
        json!(" "),
        json!("a\u{0}b"),
        json!("\u{202e}gnp.exe"),
        json!("\u{200b}\u{2060}"),
        json!("x'; DROP TABLE users; --"),
        json!("$(touch x)`y`"),
        json!("--checkpoint-action=exec=x"),
        json!("-1"),
        json!("../../etc/passwd"),
        json!("%2e%2e/"),
        json!("a\nb\r\nX: y"),
        json!("é\u{301}🏳️‍🌈"),
        json!("🏳".repeat(256)),
        json!(long),
        json!(0),
        json!(-1),
        json!(1),
        json!(5.5),
        json!(1e300),
        json!(9_223_372_036_854_775_807_i64),
        json!(18_446_744_073_709_551_615_u64),
        json!(2_147_483_648_i64),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": {"b": 1}}),
        json!(["a", 1, null]),
        json!("9007199254740993"),
        json!(format!("{}x", "a".repeat(255))),
        json!("\u{feff}\u{2066}x\u{2069}"),
        json!("\u{7f}\u{85}"),
        json!("0x10"),
    ]
}

#[tokio::test]
async fn bodies_that_are_none_are_told_so() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deeper = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for (kind, body, status) in [
        ("application/json", "{\"a\":".to_owned(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "null".to_owned(), 400),
        ("application/json", "{\"a\": \"\\ud800\"}".to_owned(), 400),
        ("application/json", format!("{{\"a\": {deep}}}"), 400),
        ("application/json", deeper, 400),
        ("application/json", format!("{{\"label\": \"{}\"}}", "x".repeat(1 << 20)), 413),
        ("text/plain", "{\"label\": \"x\"}".to_owned(), 415),
        ("application/xml", "<a/>".to_owned(), 415),
        ("multipart/form-data; boundary=x", "nonsense".to_owned(), 400),
        ("multipart/form-data", "nonsense".to_owned(), 415),
        ("application/json", String::new(), 422),
    ] {
        let request = Request::post("/api/remote-servers")
            .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.clone()))
            .unwrap();
        let answer = app.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {body:.40}: {}", String::from_utf8_lossy(&answer.bytes));
        assert!(answer.json()["code"].is_string());
    }
    let lies = Request::post("/api/remote-servers")
        .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
        .header(header::CONTENT_LENGTH, "1000000000000")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(lies).await.status, 413, "refused before it is read");
}

#[tokio::test]
async fn fields_nobody_may_write_change_nothing() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let before = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    let body = json!({"id": 77, "user_id": 77, "team_id": 77, "status": "running", "paused_at": "2024-01-01T00:00:00Z",
                      "last_run_at": "2024-01-01T00:00:00Z", "seal_id": "x", "deleted_at": "2024-01-01T00:00:00Z"});
    let after = app.expect(&ann, ("PUT", &path), body, 200).await;
    assert_eq!(after, before);
}
