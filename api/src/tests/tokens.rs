//! Tokens are made by people, in a session, for a while.

use super::people::{Browser, PASSWORD, logged_in, person};
use crate::accounts::AccountSettings;
use crate::testing::App;
use axum::body::Body;
use axum::http::Request;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

#[tokio::test]
async fn a_token_is_made_shown_once_used_listed_and_revoked() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let body = json!({"name": "CI", "abilities": ["view-backups", "run-backup-tasks"], "expires_in_days": 30});
    let path = ("POST", "/api/tokens");
    let by_token = app.call(&ann.token, "POST", "/api/tokens", body.clone()).await;
    assert_eq!(by_token.json()["code"], "session_required", "no token makes another");
    let made = browser.must(&app, path, body.clone(), 201).await;
    let token = made["data"]["plain_text_token"].as_str().unwrap().to_owned();
    assert_eq!(made["data"]["abilities"], json!(["view-backups", "run-backup-tasks"]));
    let expires: DateTime<Utc> = made["data"]["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, app.now() + TimeDelta::days(30));
    let pool = app.database.owner_pool().await.unwrap();
    // The database's clock decides about tokens, and it is later than the test's.
    sqlx::query("UPDATE tokens SET expires_at = now() + interval '1 day'").execute(&pool).await.unwrap();
    assert_eq!(app.call(&token, "GET", "/api/backups", Value::Null).await.status, 200);
    assert_eq!(app.call(&token, "GET", "/api/backup-tasks", Value::Null).await.status, 403);
    let list = browser.must(&app, ("GET", "/api/tokens"), Value::Null, 200).await;
    let listed = list["data"].as_array().unwrap().iter().find(|row| row["name"] == "CI").unwrap();
    assert!(listed["last_used_at"].is_string() && listed.get("plain_text_token").is_none());
    assert!(!list.to_string().contains(token.split_once('|').unwrap().1));
    let own = format!("/api/tokens/{}", listed["id"]);
    person(&app, "bob@example.com").await;
    let mut bob = logged_in(&app, "bob@example.com").await;
    bob.must(&app, ("DELETE", &own), Value::Null, 404).await;
    browser.must(&app, ("DELETE", &own), Value::Null, 200).await;
    assert_eq!(app.call(&token, "GET", "/api/backups", Value::Null).await.status, 401);
    browser.must(&app, ("DELETE", &own), Value::Null, 404).await;
    app.pass(TimeDelta::minutes(11));
    assert_eq!(browser.must(&app, path, body, 403).await["code"], "reauth_required");
}

#[tokio::test]
async fn a_token_has_known_abilities_and_an_end() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let path = ("POST", "/api/tokens");
    for bad in [
        json!({"name": "x", "abilities": []}),
        json!({"name": "x", "abilities": ["root"]}),
        json!({"name": "", "abilities": ["*"]}),
        json!({"name": "x", "abilities": ["*"], "expires_in_days": 367}),
        json!({"name": "x", "abilities": ["*"], "expires_in_days": 0}),
        json!({"name": "x", "abilities": ["*"], "user_id": 1}),
        json!({"name": "x".repeat(256), "abilities": ["*"]}),
    ] {
        browser.must(&app, path, bad, 422).await;
    }
    let made = browser.must(&app, path, json!({"name": "x", "abilities": ["*"]}), 201).await;
    let expires: DateTime<Utc> = made["data"]["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, app.now() + TimeDelta::days(90), "no token lives for ever");
}

#[tokio::test]
async fn a_devices_token_is_given_as_the_peer_gives_it_and_ends() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let form = |fields: &str| {
        Request::post("/api/sanctum/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(fields.to_owned()))
            .unwrap()
    };
    let password = PASSWORD.replace(' ', "+");
    let given = app.send(form(&format!("email=ann%40example.com&password={password}&device_name=My+Phone-1"))).await;
    assert_eq!(given.status, 200, "{}", String::from_utf8_lossy(&given.bytes));
    let body = given.json();
    let token = body["token"].as_str().unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1);
    assert!(token.split_once('|').unwrap().0.parse::<i64>().is_ok());
    let pool = app.database.owner_pool().await.unwrap();
    let row: (Option<DateTime<Utc>>, Vec<String>) =
        sqlx::query_as("SELECT expires_at, abilities FROM tokens WHERE name = 'My Phone-1'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(row, (Some(app.now() + TimeDelta::days(90)), vec!["*".to_owned()]));
    let wrong = app.send(form("email=ann%40example.com&password=wrong&device_name=x")).await;
    assert_eq!(wrong.status, 422);
    let expected = json!({"email": ["The provided credentials are incorrect."]});
    assert_eq!(wrong.json()["errors"], expected);
    let odd = app.send(form("email=ann%40example.com&password=wrong&device_name=Bob%27s+iPhone")).await;
    assert_eq!(odd.json()["errors"]["device_name"][0], "The device name field format is invalid.");
    let none = app.send(form("")).await.json();
    for field in ["email", "password", "device_name"] {
        let name = field.replace('_', " ");
        assert_eq!(none["errors"][field][0], format!("The {name} field is required."));
    }
    let closed = app.with_accounts(|accounts| AccountSettings { device_tokens: false, ..accounts });
    let answer = closed.send(form("")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["message"], "Device authentication endpoint is not available.");
}

#[tokio::test]
async fn guessing_by_a_device_is_throttled_as_any_log_in() {
    let app = App::with_limits(60, 5).await;
    person(&app, "ann@example.com").await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let body = json!({"email": "ann@example.com", "password": "wrong", "device_name": "x"});
        statuses.push(Browser::at("203.0.113.1").ask(&app, "POST", "/api/sanctum/token", body).await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[9]), (422, 429));
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let login = Browser::at("203.0.113.1").ask(&app, "POST", "/api/auth/login", body).await;
    assert_eq!(login.status, 429, "one limit for every way in");
}
