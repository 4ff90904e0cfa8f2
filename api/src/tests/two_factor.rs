//! The second factor is asked for on every way in, and each code counts once.

use super::people::{Browser, PASSWORD, link, logged_in, mails, person, two_factor};
use crate::testing::App;
use chrono::TimeDelta;
use serde_json::{Value, json};

#[tokio::test]
async fn with_it_a_password_alone_opens_nothing() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let other = logged_in(&app, "ann@example.com").await;
    let before = browser.clone();
    let (secret, codes) = two_factor(&app, &mut browser).await;
    assert_eq!(codes.len(), 10);
    assert_eq!((browser.status(&app).await, before.status(&app).await, other.status(&app).await), (200, 401, 401));
    app.pass(TimeDelta::minutes(2));
    let mut again = Browser::at("198.51.100.1");
    let login = again.log_in(&app, "ann@example.com", PASSWORD).await;
    assert_eq!((login.status.as_u16(), &login.json()["data"]["two_factor_required"]), (200, &json!(true)));
    let challenge = again.clone();
    for row in crate::routes::rows().into_iter().filter(|row| !row.need.is_open()) {
        let path = row.path.replace("{id}", "1");
        let answer = again.peek(&app, &row.method, &path, Value::Null).await;
        assert_eq!(answer.status, 401, "{} {}", row.method, row.path);
    }
    let path = ("POST", "/api/auth/two-factor");
    again.must(&app, path, json!({"code": "000000"}), 422).await;
    let now = app.now().timestamp();
    again.must(&app, path, json!({"code": secret.code_at(now - 60)}), 422).await;
    again.must(&app, path, json!({"code": secret.code_at(now)}), 200).await;
    assert_ne!(again.session(), challenge.session());
    assert_eq!((again.status(&app).await, challenge.status(&app).await), (200, 401));
    let replayed = challenge.peek(&app, "POST", path.1, json!({"code": secret.code_at(now)})).await;
    assert_eq!(replayed.status, 401);
}

#[tokio::test]
async fn of_twenty_equal_codes_at_once_one_counts() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let (secret, codes) = two_factor(&app, &mut browser).await;
    let pool = app.database.owner_pool().await.unwrap();
    let code = |app: &App| secret.code_at(app.now().timestamp());
    for kind in ["app", "recovery"] {
        app.pass(TimeDelta::minutes(2));
        let mut challenges = Vec::new();
        for _ in 0..20 {
            let mut challenge = Browser::at("198.51.100.1");
            assert_eq!(challenge.log_in(&app, "ann@example.com", PASSWORD).await.status, 200);
            challenges.push(challenge);
        }
        // The limit of tries would hide what this is about: with it at most five would come as far.
        let code = if kind == "app" { code(&app) } else { codes[3].to_uppercase() };
        let answers = challenges.iter_mut().map(|browser| {
            let body = json!({"code": code});
            async { browser.ask(&app, "POST", "/api/auth/two-factor", body).await.status.as_u16() }
        });
        let statuses = futures_util::future::join_all(answers).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{kind}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 15, "{kind}: {statuses:?}");
    }
    let used: i64 = sqlx::query_scalar("SELECT count(*) FROM recovery_codes WHERE used_at IS NOT NULL")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(used, 1);
    let last = mails(&app).await.into_iter().rev().find(|(kind, ..)| kind == "recovery_code_used").unwrap();
    assert_eq!((last.1.as_str(), last.2.codes_left), ("ann@example.com", Some(9)));
    // Without the limit of tries all twenty look at the step, and still one counts.
    let store = &app.store;
    let step = app.now().timestamp() / 30 + 10;
    let takes = (0..20).map(|_| async {
        let tx = store.for_team(&holdfast_store::Access::system(ann.team_id, "test")).await.unwrap();
        let is_first = tx.two_factors().accept_step(ann.user_id, step).await.unwrap();
        tx.commit().await.unwrap();
        is_first
    });
    let firsts = futures_util::future::join_all(takes).await;
    assert_eq!(firsts.iter().filter(|first| **first).count(), 1);
}

#[tokio::test]
async fn codes_cannot_be_guessed_and_the_guesser_does_not_lock_the_owner_out() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut owner = logged_in(&app, "ann@example.com").await;
    let (secret, _) = two_factor(&app, &mut owner).await;
    app.pass(TimeDelta::minutes(2));
    let mut thief = Browser::at("203.0.113.1");
    thief.log_in(&app, "ann@example.com", PASSWORD).await;
    let mut statuses = Vec::new();
    for n in 0..8 {
        let body = json!({"code": format!("00000{n}")});
        statuses.push(thief.ask(&app, "POST", "/api/auth/two-factor", body).await.status.as_u16());
    }
    assert_eq!(statuses, [422, 422, 422, 422, 422, 429, 429, 429]);
    let right = json!({"code": secret.code_at(app.now().timestamp())});
    assert_eq!(thief.ask(&app, "POST", "/api/auth/two-factor", right.clone()).await.status, 429, "even the right one");
    owner.cookies.remove("holdfast_session");
    owner.log_in(&app, "ann@example.com", PASSWORD).await;
    owner.must(&app, ("POST", "/api/auth/two-factor"), right, 200).await;
}

#[tokio::test]
async fn devices_resets_and_address_changes_ask_for_it_too() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let (secret, codes) = two_factor(&app, &mut browser).await;
    app.pass(TimeDelta::minutes(2));
    let device = |code: Value| {
        let mut body = json!({"email": "ann@example.com", "password": PASSWORD, "device_name": "Phone 1"});
        body["two_factor_code"] = code;
        body
    };
    let mut phone = Browser::at("198.51.100.7");
    let path = ("POST", "/api/sanctum/token");
    assert_eq!(phone.must(&app, path, device(Value::Null), 401).await["code"], "two_factor_required");
    phone.must(&app, path, device(json!("123456")), 422).await;
    let made = phone.must(&app, path, device(json!(codes[0])), 200).await;
    let token = made["token"].as_str().unwrap();
    // The database's clock decides about tokens, and it is later than the test's.
    let later = "UPDATE tokens SET expires_at = now() + interval '1 day'";
    sqlx::query(later).execute(&app.database.owner_pool().await.unwrap()).await.unwrap();
    assert_eq!(app.call(token, "GET", "/api/user", Value::Null).await.status, 200);
    phone.must(&app, path, device(json!(codes[0])), 422).await;

    let mail = json!({"email": "new@example.com"});
    assert_eq!(browser.must(&app, ("POST", "/api/user/email"), mail, 401).await["code"], "two_factor_required");
    let code = secret.code_at(app.now().timestamp());
    browser.must(&app, ("POST", "/api/user/email"), json!({"email": "new@example.com", "code": code}), 202).await;

    app.pass(TimeDelta::minutes(2));
    browser.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "ann@example.com"}), 202).await;
    let reset = json!({"token": link(&app, "reset", "ann@example.com").await, "password": "another horse battery"});
    let mut elsewhere = Browser::at("203.0.113.5");
    let done = elsewhere.must(&app, ("POST", "/api/auth/reset-password"), reset, 200).await;
    assert_eq!(done["data"]["two_factor_required"], true);
    assert_eq!(elsewhere.status(&app).await, 401);
    let code = secret.code_at(app.now().timestamp());
    elsewhere.must(&app, ("POST", "/api/auth/two-factor"), json!({"code": code}), 200).await;
    assert_eq!(elsewhere.status(&app).await, 200);
}

#[tokio::test]
async fn it_is_turned_off_and_its_codes_are_renewed_by_a_fresh_session_alone() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    let (secret, old) = two_factor(&app, &mut browser).await;
    let pool = app.database.owner_pool().await.unwrap();
    let stored: Vec<u8> = sqlx::query_scalar("SELECT sealed_secret FROM two_factors").fetch_one(&pool).await.unwrap();
    let base32 = secrecy::ExposeSecret::expose_secret(&secret.base32()).to_owned();
    assert!(!String::from_utf8_lossy(&stored).contains(&base32));
    app.pass(TimeDelta::minutes(11));
    let codes = ("POST", "/api/user/two-factor/recovery-codes");
    assert_eq!(browser.must(&app, codes, Value::Null, 403).await["code"], "reauth_required");
    let confirm = ("POST", "/api/auth/confirm-password");
    assert_eq!(browser.must(&app, confirm, json!({"password": PASSWORD}), 401).await["code"], "two_factor_required");
    let body = json!({"password": PASSWORD, "code": old[0]});
    browser.must(&app, confirm, body, 200).await;
    let new = browser.must(&app, codes, Value::Null, 200).await;
    let shown = browser.must(&app, ("GET", "/api/user/two-factor"), Value::Null, 200).await;
    assert_eq!((&shown["data"]["is_on"], &shown["data"]["recovery_codes_left"]), (&json!(true), &json!(10)));
    let mut again = Browser::at("198.51.100.1");
    again.log_in(&app, "ann@example.com", PASSWORD).await;
    again.must(&app, ("POST", "/api/auth/two-factor"), json!({"code": old[1]}), 422).await;
    let code = new["data"]["recovery_codes"][1].clone();
    again.must(&app, ("POST", "/api/auth/two-factor"), json!({"code": code}), 200).await;
    browser.must(&app, ("POST", "/api/user/two-factor"), Value::Null, 409).await;
    browser.must(&app, ("DELETE", "/api/user/two-factor"), Value::Null, 200).await;
    assert_eq!(again.status(&app).await, 401);
    let kinds: Vec<String> = mails(&app).await.into_iter().map(|(kind, ..)| kind).collect();
    assert!(kinds.iter().any(|kind| kind == "two_factor_on") && kinds.iter().any(|kind| kind == "two_factor_off"));
    assert_eq!(logged_in(&app, "ann@example.com").await.status(&app).await, 200);
}

#[tokio::test]
async fn without_the_log_in_key_nobody_slips_past_it() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    person(&app, "bob@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    two_factor(&app, &mut browser).await;
    let app = app.without_login_key();
    let mut again = Browser::at("198.51.100.1");
    let answer = again.log_in(&app, "ann@example.com", PASSWORD).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str().unwrap()), (503, "two_factor_unavailable"));
    assert_eq!(again.session(), "");
    let mut bob = logged_in(&app, "bob@example.com").await;
    let refused = bob.must(&app, ("POST", "/api/user/two-factor"), Value::Null, 503).await;
    assert_eq!(refused["code"], "two_factor_unavailable");
}

/// What each open route that takes a body does for somebody who has everything of a person but their second factor:
/// password, mailbox, a link of each kind. A new open route must be added here.
const WAYS_IN: [&str; 13] = [
    "POST /api/auth/register",
    "POST /api/auth/verify-email",
    "POST /api/auth/verify-email/resend",
    "POST /api/auth/login",
    "POST /api/auth/two-factor",
    "POST /api/auth/forgot-password",
    "POST /api/auth/reset-password",
    "POST /api/sanctum/token",
    "POST /api/user/email/confirm",
    "POST /api/auth/setup",
    "POST /setup",
    "POST /webhooks/backup-tasks/{id}/run",
    "POST /confirm-stream",
];

#[tokio::test]
async fn no_open_route_lets_anybody_in_without_it() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut owner = logged_in(&app, "ann@example.com").await;
    let (secret, _) = two_factor(&app, &mut owner).await;
    app.pass(TimeDelta::minutes(2));
    let code = secret.code_at(app.now().timestamp());
    owner.must(&app, ("POST", "/api/user/email"), json!({"email": "new@example.com", "code": code}), 202).await;
    let mut thief = Browser::at("203.0.113.5");
    thief.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "ann@example.com"}), 202).await;
    let (reset, email) = (link(&app, "reset", "ann@example.com").await, link(&app, "email", "new@example.com").await);
    let pool = app.database.owner_pool().await.unwrap();
    let tokens_before: i64 = sqlx::query_scalar("SELECT count(*) FROM tokens").fetch_one(&pool).await.unwrap();
    let open = crate::routes::rows().into_iter().filter(|row| row.need.is_open() && row.method != "GET");
    for row in open {
        let name = format!("{} {}", row.method, row.path);
        assert!(WAYS_IN.contains(&name.as_str()), "{name}: say here that it lets nobody in");
        app.pass(TimeDelta::minutes(2));
        let body = match row.path.as_str() {
            "/api/auth/register" => json!({"name": "Ann", "email": "ann@example.com", "password": PASSWORD}),
            "/api/auth/verify-email" => json!({"token": reset, "password": PASSWORD}),
            "/api/auth/verify-email/resend" | "/api/auth/forgot-password" => json!({"email": "ann@example.com"}),
            "/api/auth/login" => json!({"email": "ann@example.com", "password": PASSWORD}),
            "/api/auth/two-factor" => json!({"code": "000000"}),
            "/api/auth/reset-password" => {
                json!({"token": link(&app, "reset", "ann@example.com").await, "password": "another horse battery"})
            }
            "/api/sanctum/token" => {
                json!({"email": "ann@example.com", "password": "another horse battery", "device_name": "Phone"})
            }
            "/api/user/email/confirm" => json!({"token": email}),
            _ => json!({"token": reset}),
        };
        thief.cookies.remove("holdfast_session");
        let answer = thief.ask(&app, &row.method, &row.path.replace("{id}", "1"), body).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(answer.status.as_u16() < 500, "{name}: {text}");
        assert_eq!(thief.status(&app).await, 401, "{name}: {text}");
        assert!(!text.contains("hf_"), "{name}: {text}");
    }
    let tokens: i64 = sqlx::query_scalar("SELECT count(*) FROM tokens").fetch_one(&pool).await.unwrap();
    assert_eq!(tokens, tokens_before);
    // Both links did what they are for, and no more.
    let (email, full): (String, i64) = sqlx::query_as(
        "SELECT u.email, (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.stage = 'full') FROM users u",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((email.as_str(), full), ("new@example.com", 0));
}
