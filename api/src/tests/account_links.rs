//! Accounts by mail: a link works once, for half an hour, and only the newest of them.

use super::people::{Browser, PASSWORD, link, logged_in, mails, person};
use crate::accounts::AccountSettings;
use crate::testing::App;
use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use serde_json::{Value, json};

fn registration(email: &str) -> Value {
    json!({"name": "Carl Ray", "email": email, "password": PASSWORD, "timezone": "Europe/Berlin"})
}

#[tokio::test]
async fn an_account_exists_once_its_address_is_confirmed_with_its_password() {
    let app = App::start().await;
    let mut browser = Browser::at("198.51.100.1");
    browser.must(&app, ("POST", "/api/auth/register"), registration("carl@example.com"), 202).await;
    assert_eq!(browser.log_in(&app, "carl@example.com", PASSWORD).await.status, 422, "not yet");
    let first = link(&app, "register", "carl@example.com").await;
    let again = json!({"email": "carl@example.com"});
    browser.must(&app, ("POST", "/api/auth/verify-email/resend"), again, 202).await;
    let second = link(&app, "register", "carl@example.com").await;
    let verify = |token: &str, password: &str| json!({"token": token, "password": password});
    let path = ("POST", "/api/auth/verify-email");
    browser.must(&app, path, verify(&first, PASSWORD), 422).await;
    let wrong = browser.must(&app, path, verify(&second, "somebody else's"), 422).await;
    assert!(wrong["errors"]["password"].is_array(), "who opens the link must have chosen the password");
    browser.must(&app, path, verify(&second, PASSWORD), 201).await;
    browser.must(&app, path, verify(&second, PASSWORD), 422).await;
    assert_eq!(browser.log_in(&app, "carl@example.com", PASSWORD).await.status, 200);
    let user = browser.must(&app, ("GET", "/api/user"), Value::Null, 200).await;
    assert_eq!(user["data"]["account_settings"]["timezone"], "Europe/Berlin");
    assert_eq!(user["data"]["account_settings"]["is_admin"], false);
    browser.must(&app, ("GET", "/api/ssh-key"), Value::Null, 200).await;
}

#[tokio::test]
async fn registration_is_off_everywhere_or_says_that_mail_is_missing() {
    let app = App::start().await;
    let mut browser = Browser::at("198.51.100.1");
    browser.must(&app, ("POST", "/api/auth/register"), registration("carl@example.com"), 202).await;
    let token = link(&app, "register", "carl@example.com").await;
    let closed = app.with_accounts(|accounts| AccountSettings { registration: false, ..accounts });
    let verify = json!({"token": token, "password": PASSWORD});
    let resend = json!({"email": "carl@example.com"});
    for (path, body) in [
        ("/api/auth/register", registration("dora@example.com")),
        ("/api/auth/verify-email", verify),
        ("/api/auth/verify-email/resend", resend),
    ] {
        assert_eq!(browser.must(&closed, ("POST", path), body, 403).await["code"], "registration_closed", "{path}");
    }
    let mute = closed.with_accounts(|accounts| AccountSettings { registration: true, has_mail: false, ..accounts });
    let path = ("POST", "/api/auth/register");
    assert_eq!(browser.must(&mute, path, registration("dora@example.com"), 503).await["code"], "mail_not_set_up");
    let pool = mute.database.owner_pool().await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>("SELECT count(*) FROM users").fetch_one(&pool).await.unwrap(), 0);
}

#[tokio::test]
async fn a_taken_address_is_answered_like_a_new_one_and_told_by_mail() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let mut browser = Browser::at("198.51.100.1");
    let register = ("POST", "/api/auth/register");
    let taken = browser.ask(&app, register.0, register.1, registration("Ann@example.com")).await;
    let new = browser.ask(&app, register.0, register.1, registration("carl@example.com")).await;
    assert_eq!((taken.status.as_u16(), &taken.bytes, &taken.headers), (202, &new.bytes, &new.headers));
    browser.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "nobody@example.com"}), 202).await;
    let mut verdicts: Vec<(String, String)> =
        app.store.take_account_mails(10).await.unwrap().into_iter().map(|mail| (mail.email, mail.verdict)).collect();
    verdicts.sort();
    let expected = [("Ann@example.com", "taken"), ("carl@example.com", "send"), ("nobody@example.com", "drop")];
    assert_eq!(verdicts, expected.map(|(email, verdict)| (email.to_owned(), verdict.to_owned())));
    let token = link(&app, "register", "Ann@example.com").await;
    let verify = json!({"token": token, "password": PASSWORD});
    browser.must(&app, ("POST", "/api/auth/verify-email"), verify, 422).await;
}

#[tokio::test]
async fn a_reset_link_works_once_soon_and_for_our_own_host() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    let session = logged_in(&app, "ann@example.com").await;
    let mut browser = Browser::at("198.51.100.1");
    let forgot = Request::post("/api/auth/forgot-password")
        .header("content-type", "application/json")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .body(Body::from(json!({"email": "ann@example.com"}).to_string()))
        .unwrap();
    assert_eq!(app.send(forgot).await.status, 202);
    let first = link(&app, "reset", "ann@example.com").await;
    browser.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "ann@example.com"}), 202).await;
    let second = link(&app, "reset", "ann@example.com").await;
    let reset = |token: &str, password: &str| json!({"token": token, "password": password});
    let path = ("POST", "/api/auth/reset-password");
    browser.must(&app, path, reset(&first, "another horse battery"), 422).await;
    browser.must(&app, path, reset(&second, "short"), 422).await;
    assert_eq!(session.status(&app).await, 200);
    browser.must(&app, path, reset(&second, "another horse battery"), 200).await;
    assert_eq!((session.status(&app).await, browser.status(&app).await), (401, 200), "every other session ended");
    browser.must(&app, path, reset(&second, "third horse battery"), 422).await;
    browser.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "ann@example.com"}), 202).await;
    let third = link(&app, "reset", "ann@example.com").await;
    app.pass(TimeDelta::minutes(31));
    browser.must(&app, path, reset(&third, "third horse battery"), 422).await;
    assert!(mails(&app).await.iter().any(|(kind, ..)| kind == "password_changed"));
    let pool = app.database.owner_pool().await.unwrap();
    let dump: Vec<String> =
        sqlx::query_scalar("SELECT t::text FROM account_links t UNION ALL SELECT t::text FROM account_mails t")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert!(dump.iter().all(|row| !row.contains(&third) && !row.contains(&hex::encode(&third))), "{dump:?}");
}

#[tokio::test]
async fn an_address_changes_when_its_owner_confirms() {
    let app = App::start().await;
    person(&app, "ann@example.com").await;
    person(&app, "bob@example.com").await;
    let mut browser = logged_in(&app, "ann@example.com").await;
    browser.must(&app, ("POST", "/api/user/email"), json!({"email": "new@example.com"}), 202).await;
    let first = link(&app, "email", "new@example.com").await;
    browser.must(&app, ("POST", "/api/user/email"), json!({"email": "bob@example.com"}), 202).await;
    let taken = link(&app, "email", "bob@example.com").await;
    let path = ("POST", "/api/user/email/confirm");
    let mut reader = Browser::at("203.0.113.4");
    reader.must(&app, path, json!({"token": first}), 422).await;
    reader.must(&app, path, json!({"token": taken}), 422).await;
    browser.must(&app, ("POST", "/api/user/email"), json!({"email": "new@example.com"}), 202).await;
    let token = link(&app, "email", "new@example.com").await;
    assert_eq!(
        browser.must(&app, ("GET", "/api/user"), Value::Null, 200).await["data"]["personal_info"]["email"],
        "ann@example.com"
    );
    reader.must(&app, path, json!({"token": token}), 200).await;
    assert_eq!(browser.status(&app).await, 401);
    let told = mails(&app).await.into_iter().find(|(kind, ..)| kind == "email_changed").unwrap();
    assert_eq!((told.1.as_str(), told.2.new_email.as_deref()), ("ann@example.com", Some("new@example.com")));
    assert_eq!(browser.log_in(&app, "ann@example.com", PASSWORD).await.status, 422);
    assert_eq!(browser.log_in(&app, "new@example.com", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn links_are_not_guessed_and_nobody_is_flooded() {
    let app = App::with_limits(60, 5).await;
    person(&app, "ann@example.com").await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let body = json!({"token": format!("hfl_{}", "0".repeat(48)), "password": "another horse battery"});
        statuses
            .push(Browser::at("203.0.113.1").ask(&app, "POST", "/api/auth/reset-password", body).await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[9]), (422, 429));
    for n in 0..12 {
        app.pass(TimeDelta::minutes(1));
        let mut browser = Browser::at(["203.0.113.2", "203.0.113.3"][n % 2]);
        browser.must(&app, ("POST", "/api/auth/forgot-password"), json!({"email": "ann@example.com"}), 202).await;
    }
    let sent = mails(&app).await.into_iter().filter(|(kind, ..)| kind == "reset").count();
    assert_eq!(sent, 5, "an address gets so many mails an hour");
    // Whoever asks on and on does not kill the link that the owner was sent.
    let token = link(&app, "reset", "ann@example.com").await;
    let body = json!({"token": token, "password": "another horse battery"});
    Browser::at("203.0.113.4").must(&app, ("POST", "/api/auth/reset-password"), body, 200).await;
}
