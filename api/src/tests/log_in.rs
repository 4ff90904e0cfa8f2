//! Passwords and sessions: the way in, how long it stays open, and what closes it.

use super::people::{Browser, PASSWORD, logged_in, person};
use crate::testing::App;
use chrono::TimeDelta;
use serde_json::{Value, json};

/// The password's hash with weaker parameters than today's.
fn weak_hash() -> String {
    use argon2::password_hash::{PasswordHasher, SaltString};
    let params = argon2::Params::new(1024, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let salt = SaltString::encode_b64(b"saltsaltsalt").unwrap();
    hasher.hash_password(PASSWORD.as_bytes(), &salt).unwrap().to_string()
}

#[tokio::test]
async fn a_password_begins_a_session_that_nobody_can_plant_and_a_logout_ends() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = Browser::at("198.51.100.1");
    let planted = format!("hfc_{}", "0".repeat(48));
    browser.cookies.insert("holdfast_session".to_owned(), planted.clone());
    assert_eq!(browser.log_in(&app, "Ann@Example.com", PASSWORD).await.status, 200);
    let first = browser.clone();
    assert_ne!(first.session(), planted);
    assert_eq!(first.status(&app).await, 200);
    assert_eq!(browser.log_in(&app, "ann@example.com", PASSWORD).await.status, 200);
    assert_ne!(browser.session(), first.session());
    assert_eq!((browser.status(&app).await, first.status(&app).await), (200, 401), "the earlier cookie ended");
    let last = browser.clone();
    browser.must(&app, ("POST", "/api/auth/logout"), Value::Null, 200).await;
    assert_eq!(browser.session(), "");
    assert_eq!(last.status(&app).await, 401, "replayed after the logout");
    let pool = app.database.owner_pool().await.unwrap();
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT secret_hash FROM sessions").fetch_all(&pool).await.unwrap();
    assert!(hashes.is_empty());
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = Browser::at("198.51.100.1");
    let wrong = browser.log_in(&app, "ann@example.com", "wrong password").await;
    let unknown = browser.log_in(&app, "nobody@example.com", "wrong password").await;
    assert_eq!((wrong.status.as_u16(), &wrong.bytes), (422, &unknown.bytes));
    assert_eq!(wrong.json()["errors"]["email"][0], "The provided credentials are incorrect.");
    for (path, field) in [("/api/auth/forgot-password", "email"), ("/api/auth/verify-email/resend", "email")] {
        let known = browser.ask(&app, "POST", path, json!({field: "ann@example.com"})).await;
        let unknown = browser.ask(&app, "POST", path, json!({field: "nobody@example.com"})).await;
        assert_eq!((known.status.as_u16(), &known.bytes, &known.headers), (202, &unknown.bytes, &unknown.headers));
    }
    let pool = app.database.owner_pool().await.unwrap();
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&pool).await.unwrap();
    assert_eq!(browser.log_in(&app, "ann@example.com", &hash).await.status, 422, "the stored text is no password");
}

#[tokio::test]
async fn guessing_ends_soon_and_the_owner_still_gets_in() {
    let app = App::with_limits(60, 5).await;
    person(&app, "ann@example.com").await;
    let owner = logged_in(&app, "ann@example.com").await;
    app.pass(TimeDelta::minutes(1));
    let from = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];
    let mut statuses = Vec::new();
    for n in 0..100 {
        let mut attacker = Browser::at(from[n % 4]);
        attacker.cookies.insert("holdfast_device".to_owned(), format!("hfd_{}", "1".repeat(48)));
        statuses.push(attacker.log_in(&app, "ann@example.com", "wrong password").await.status.as_u16());
    }
    assert!(statuses[..9].iter().all(|status| *status == 422), "{statuses:?}");
    assert!(statuses[9..].iter().all(|status| *status == 429), "{statuses:?}");
    let mut elsewhere = Browser::at("203.0.113.9");
    assert_eq!(elsewhere.log_in(&app, "ann@example.com", PASSWORD).await.status, 429, "a browser nobody knows waits");
    let mut known = Browser { address: "203.0.113.1", ..owner };
    known.cookies.remove("holdfast_session");
    assert_eq!(known.log_in(&app, "ann@example.com", PASSWORD).await.status, 200, "from the attacker's own address");
    app.pass(TimeDelta::minutes(1));
    assert_eq!(elsewhere.log_in(&app, "ann@example.com", PASSWORD).await.status, 200, "and everybody a minute later");
}

#[tokio::test]
async fn headers_that_name_an_address_buy_no_more_tries() {
    let app = App::with_limits(60, 5).await;
    person(&app, "ann@example.com").await;
    let mut last = 0;
    for n in 0..10 {
        let body = json!({"email": "ann@example.com", "password": "wrong password"}).to_string();
        let request = axum::http::Request::post("/api/auth/login")
            .header("content-type", "application/json")
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header("x-real-ip", format!("203.0.113.{n}"))
            .body(axum::body::Body::from(body))
            .unwrap();
        last = app.send(request).await.status.as_u16();
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let app = App::with_limits(60, 5).await;
    let ann = person(&app, "ann@example.com").await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(app.call("hf_nonsense", "GET", "/api/user", Value::Null).await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[39]), (401, 429));
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 200);
}

#[tokio::test]
async fn another_sites_page_cannot_log_anybody_in() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let send = |headers: &[(&str, &str)], kind: &str| {
        let body = json!({"email": "ann@example.com", "password": PASSWORD}).to_string();
        let mut request = axum::http::Request::post("/api/auth/login").header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(axum::body::Body::from(body)).unwrap())
    };
    assert_eq!(send(&[("origin", "https://evil.example")], "application/json").await.status, 403);
    assert_eq!(send(&[("sec-fetch-site", "cross-site")], "application/json").await.status, 403);
    assert_eq!(send(&[("origin", "http://example.com")], "text/plain").await.status, 415);
    assert_eq!(send(&[], "application/json").await.status, 200, "a program, which has no page");
}

#[tokio::test]
async fn a_session_grows_stale_and_the_password_makes_it_fresh() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    app.pass(TimeDelta::minutes(11));
    let destination = json!({"label": "d", "type": "local"});
    let create = ("POST", "/api/backup-destinations");
    let refused = browser.must(&app, create, destination.clone(), 403).await;
    assert_eq!(refused["code"], "reauth_required");
    let before = browser.clone();
    let wrong = browser.must(&app, ("POST", "/api/auth/confirm-password"), json!({"password": "no"}), 422).await;
    assert_eq!(wrong["errors"]["password"][0], "The password is incorrect.");
    browser.must(&app, ("POST", "/api/auth/confirm-password"), json!({"password": PASSWORD}), 200).await;
    browser.must(&app, create, destination, 201).await;
    assert_eq!(before.status(&app).await, 401, "the session has another cookie");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let (mut here, there, other) = (
        logged_in(&app, "ann@example.com").await,
        logged_in(&app, "ann@example.com").await,
        logged_in(&app, "ann@example.com").await,
    );
    let list = here.must(&app, ("GET", "/api/auth/sessions"), Value::Null, 200).await;
    let sessions = list["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions.iter().filter(|session| session["is_current"] == true).count(), 1);
    assert_eq!(sessions[2]["is_current"], true, "the newest first");
    assert_eq!(sessions[0]["ip_address"], "198.51.100.1");
    let path = format!("/api/auth/sessions/{}", sessions[1]["id"]);
    here.must(&app, ("DELETE", &path), Value::Null, 200).await;
    here.must(&app, ("DELETE", &path), Value::Null, 404).await;
    assert_eq!((there.status(&app).await, other.status(&app).await), (401, 200));
    here.must(&app, ("DELETE", "/api/auth/sessions"), Value::Null, 200).await;
    assert_eq!((here.status(&app).await, other.status(&app).await), (200, 401));
    let token = app.call(&ann.token, "GET", "/api/auth/sessions", Value::Null).await;
    assert_eq!(token.json()["code"], "session_required");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_old_hashes_are_made_anew() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let other = logged_in(&app, "ann@example.com").await;
    let change = |current: &str, new: &str| json!({"current_password": current, "password": new});
    let path = ("POST", "/api/user/password");
    browser.must(&app, path, change("wrong password", "another horse battery"), 422).await;
    browser.must(&app, path, change(PASSWORD, "password123"), 422).await;
    let long = "x1".repeat(127) + "ab";
    browser.must(&app, path, change(PASSWORD, &long), 200).await;
    assert_eq!((browser.status(&app).await, other.status(&app).await), (200, 401));
    let mut again = Browser::at("198.51.100.1");
    assert_eq!(again.log_in(&app, "ann@example.com", PASSWORD).await.status, 422);
    assert_eq!(again.log_in(&app, "ann@example.com", &format!("{}c", &long[..255])).await.status, 422, "its last byte");
    let pool = app.database.owner_pool().await.unwrap();
    let set = "UPDATE users SET password_hash = $1";
    sqlx::query(set).bind(weak_hash()).execute(&pool).await.unwrap();
    assert_eq!(again.log_in(&app, "ann@example.com", PASSWORD).await.status, 200);
    let hash: String = sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&pool).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn a_person_chooses_how_long_a_page_is() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    browser.must(&app, ("PATCH", "/api/user"), json!({"page_size": 101}), 422).await;
    let changed = browser.must(&app, ("PATCH", "/api/user"), json!({"page_size": 50}), 200).await;
    assert_eq!(changed["data"]["account_settings"]["page_size"], 50);
    let per_page = |list: Value| list["meta"]["per_page"].clone();
    let tasks = ("GET", "/api/backup-tasks");
    assert_eq!(per_page(browser.must(&app, tasks, Value::Null, 200).await), 50);
    let asked = browser.must(&app, ("GET", "/api/backup-tasks?per_page=7"), Value::Null, 200).await;
    assert_eq!(per_page(asked), 7);
    assert_eq!(per_page(app.expect(&ann, tasks, Value::Null, 200).await), 15, "a token's client is told by page 003");
}
