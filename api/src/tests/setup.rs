//! The first person: by a one-time secret, once.

use crate::testing::App;
use axum::body::Body;
use axum::http::Request;
use holdfast_vault::ticket::SetupSecret;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

async fn link(app: &App) -> String {
    let secret = SetupSecret::generate(&mut StdRng::seed_from_u64(11));
    assert!(app.store.issue_setup_link(secret.hash().as_bytes()).await.unwrap());
    secret.expose().to_owned()
}

fn body(token: &str) -> Value {
    json!({"token": token, "name": "Ann <b>", "email": "ann@example.com", "password": "correct horse battery", "timezone": "Europe/Berlin"})
}

#[tokio::test]
async fn the_secret_makes_one_person_whose_token_works() {
    let app = App::start().await;
    let token = link(&app).await;
    let wrong =
        app.call("", "POST", "/api/auth/setup", body("hfs_000000000000000000000000000000000000000000000000")).await;
    let none = app.call("", "POST", "/api/auth/setup", json!({})).await;
    assert_eq!((wrong.status.as_u16(), none.status.as_u16()), (404, 404));
    assert_eq!(wrong.bytes, none.bytes);
    let mut weak = body(&token);
    weak["password"] = json!("password");
    weak["email"] = json!("nonsense");
    let refused = app.call("", "POST", "/api/auth/setup", weak).await;
    assert_eq!(refused.status, 422);
    assert!(refused.json()["errors"]["password"].is_array() && refused.json()["errors"]["email"].is_array());
    let done = app.call("", "POST", "/api/auth/setup", body(&token)).await;
    assert_eq!(done.status, 201, "{}", String::from_utf8_lossy(&done.bytes));
    let wire = done.json()["data"]["token"].as_str().unwrap().to_owned();
    let user = app.call(&wire, "GET", "/api/user", Value::Null).await.json();
    assert_eq!(user["data"]["account_settings"]["is_admin"], true);
    assert_eq!(app.call(&wire, "GET", "/api/ssh-key", Value::Null).await.status, 200);
    assert_eq!(app.call("", "POST", "/api/auth/setup", body(&token)).await.status, 404, "a second set-up");
    let pool = app.database.owner_pool().await.unwrap();
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&pool).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn the_form_works_without_script_and_tells_nothing_without_the_secret() {
    let app = App::start().await;
    let token = link(&app).await;
    let closed = app.call("", "GET", "/setup", Value::Null).await;
    assert_eq!(closed.status, 404);
    assert_eq!(closed.bytes, app.call("", "GET", "/setup?token=hfs_00", Value::Null).await.bytes);
    let form = app.call("", "GET", &format!("/setup?token={token}"), Value::Null).await;
    assert_eq!(form.status, 200);
    let policy = form.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
    let html = String::from_utf8(form.bytes).unwrap();
    assert!(!html.contains("<script") && !html.contains("onclick"));
    let post = |fields: String, origin: &'static str| {
        Request::post("/setup")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("host", "h:1")
            .header("origin", origin)
            .body(Body::from(fields))
            .unwrap()
    };
    let fields = format!("token={token}&name=%3Cb%3E&email=ann%40example.com&password=short&timezone=");
    let again = app.send(post(fields, "http://h:1")).await;
    let html = String::from_utf8(again.bytes).unwrap();
    assert_eq!(again.status, 422);
    assert!(html.contains("&lt;b&gt;") && !html.contains("<b>") && !html.contains("short"), "{html}");
    let fields = format!("token={token}&name=Ann&email=ann%40example.com&password=correct+horse+battery&timezone=");
    assert_eq!(app.send(post(fields.clone(), "https://evil.example")).await.status, 403);
    let done = app.send(post(fields, "http://h:1")).await;
    assert_eq!(done.status, 201);
    assert!(String::from_utf8(done.bytes).unwrap().contains("|hf_"));
    assert_eq!(app.call("", "GET", &format!("/setup?token={token}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn guessing_the_secret_is_throttled() {
    let app = App::with_limits(60, 5).await;
    link(&app).await;
    let mut last = 0;
    for _ in 0..12 {
        last = app.call("", "POST", "/api/auth/setup", json!({"token": "x"})).await.status.as_u16();
    }
    assert_eq!(last, 429);
}
