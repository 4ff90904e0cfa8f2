//! An e-mail stream sends to a stranger's address once its owner agreed.

use super::people::{Browser, link, mails, person};
use crate::testing::{App, Person};
use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use serde_json::{Value, json};

const PATH: &str = "/api/notification-streams";

fn stream(address: &str) -> Value {
    json!({"label": "Ops", "type": "email", "value": address, "events": ["failure"]})
}

/// Makes a stream; its path and whether it is confirmed.
async fn made(app: &App, ann: &Person, address: &str) -> (String, bool) {
    let made = app.expect(ann, ("POST", PATH), stream(address), 201).await;
    (format!("{PATH}/{}", made["data"]["id"]), made["data"]["is_confirmed"] == json!(true))
}

async fn is_confirmed(app: &App, ann: &Person, path: &str) -> bool {
    app.expect(ann, ("GET", path), Value::Null, 200).await["data"]["is_confirmed"] == json!(true)
}

/// Opens the page of a link, or presses its button.
async fn page(app: &App, method: &str, token: &str) -> (u16, String) {
    let request = match method {
        "GET" => Request::get(format!("/confirm-stream?token={token}")).body(Body::empty()),
        _ => Request::post("/confirm-stream")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("token={token}"))),
    };
    let answer = app.send(request.unwrap()).await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.bytes).into_owned())
}

async fn asked(app: &App) -> usize {
    mails(app).await.iter().filter(|(kind, ..)| kind == "stream").count()
}

#[tokio::test]
async fn a_members_own_address_needs_no_question_and_a_strangers_does() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    person(&app, "bob@example.com").await;
    assert!(made(&app, &ann, "Ann@Example.com").await.1);
    assert_eq!(asked(&app).await, 0);
    let (path, confirmed) = made(&app, &ann, "bob@example.com").await;
    assert!(!confirmed, "a person of another team is a stranger");
    let hook = json!({"label": "w", "type": "webhook", "value": "https://h.example/x", "events": []});
    assert_eq!(app.expect(&ann, ("POST", PATH), hook, 201).await["data"]["is_confirmed"], true);
    let (kind, to, body) = mails(&app).await.pop().unwrap();
    assert_eq!((kind.as_str(), to.as_str()), ("stream", "bob@example.com"));
    assert_eq!(body.asked_by.as_deref(), Some("ann@example.com"));
    let token = body.secret.unwrap();
    for _ in 0..2 {
        let (status, text) = page(&app, "GET", &token).await;
        assert!(status == 200 && text.contains("<strong>bob@example.com</strong>"), "{status} {text}");
        assert!(!is_confirmed(&app, &ann, &path).await, "mail servers open links");
    }
    assert_eq!(page(&app, "POST", &token).await.0, 200);
    assert!(is_confirmed(&app, &ann, &path).await);
    assert_eq!(page(&app, "POST", &token).await.0, 404, "a link works once");
    let audit = app.expect(&ann, ("GET", "/api/audit-events"), Value::Null, 200).await;
    assert!(audit.to_string().contains("notification_stream.confirm"), "{audit}");
}

#[tokio::test]
async fn the_same_address_again_keeps_its_confirmation_and_another_loses_it() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let (path, _) = made(&app, &ann, "ops@example.org").await;
    let first = link(&app, "stream", "ops@example.org").await;
    app.expect(&ann, ("PUT", &path), json!({"value": "ops@example.org"}), 200).await;
    assert_eq!(asked(&app).await, 1, "a known client sends every field each time");
    assert_eq!(page(&app, "POST", &first).await.0, 200);
    let same = app.expect(&ann, ("PUT", &path), stream("OPS@example.org"), 200).await;
    assert_eq!(same["data"]["is_confirmed"], true);
    let other = app.expect(&ann, ("PUT", &path), json!({"value": "dev@example.org"}), 200).await;
    assert_eq!(other["data"]["is_confirmed"], false);
    let second = link(&app, "stream", "dev@example.org").await;
    app.expect(&ann, ("PUT", &path), json!({"value": "ann@example.com"}), 200).await;
    assert_eq!(page(&app, "POST", &second).await.0, 404, "the address is another by now");
    let hook = json!({"type": "discord_webhook", "value": "https://discord.com/api/webhooks/1/x"});
    app.expect(&ann, ("PUT", &path), hook, 200).await;
    let back = json!({"type": "email", "value": "ops@example.org"});
    assert_eq!(app.expect(&ann, ("PUT", &path), back, 200).await["data"]["is_confirmed"], false);
}

#[tokio::test]
async fn a_link_is_renewed_and_dies_with_time_with_its_stream_and_with_a_newer_one() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let bob = person(&app, "bob@example.com").await;
    let (path, _) = made(&app, &ann, "ops@example.org").await;
    let first = link(&app, "stream", "ops@example.org").await;
    let again = format!("{path}/confirmation");
    app.expect(&bob, ("POST", &again), Value::Null, 404).await;
    app.expect(&ann, ("POST", &again), Value::Null, 202).await;
    let second = link(&app, "stream", "ops@example.org").await;
    assert_eq!((page(&app, "GET", &first).await.0, page(&app, "GET", &second).await.0), (404, 200));
    app.pass(TimeDelta::days(8));
    assert_eq!(page(&app, "POST", &second).await.0, 404, "a week is over");
    app.expect(&ann, ("POST", &again), Value::Null, 202).await;
    let third = link(&app, "stream", "ops@example.org").await;
    app.expect(&ann, ("DELETE", &path), Value::Null, 200).await;
    assert_eq!(page(&app, "POST", &third).await.0, 404);
    let verdicts: Vec<_> = app.store.take_account_mails(10).await.unwrap().into_iter().map(|m| m.verdict).collect();
    assert_eq!(verdicts, ["drop", "drop", "drop"], "nobody is asked for a stream that is gone");
    let (own, _) = made(&app, &ann, "ann@example.com").await;
    let refused = app.expect(&ann, ("POST", &format!("{own}/confirmation")), Value::Null, 409).await;
    assert_eq!(refused["code"], "nothing_to_confirm");
}

#[tokio::test]
async fn nobody_is_flooded_by_one_team_or_by_many() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let (path, _) = made(&app, &ann, "ops@example.org").await;
    let again = format!("{path}/confirmation");
    for _ in 0..4 {
        app.expect(&ann, ("POST", &again), Value::Null, 202).await;
    }
    let last = link(&app, "stream", "ops@example.org").await;
    let refused = app.expect(&ann, ("POST", &again), Value::Null, 409).await;
    assert_eq!(refused["code"], "limit_reached");
    assert_eq!(page(&app, "GET", &last).await.0, 200, "the link that was sent stays good");
    let bob = person(&app, "bob@example.com").await;
    let (of_bob, _) = made(&app, &bob, "ops@example.org").await;
    assert_eq!(asked(&app).await, 5, "an address gets so many an hour, whoever asks");
    app.expect(&bob, ("POST", &format!("{of_bob}/confirmation")), Value::Null, 409).await;
    for n in 0..20 {
        made(&app, &ann, &format!("x{n}@example.net")).await;
    }
    assert_eq!(asked(&app).await, 20, "a team asks so many an hour");
}

#[tokio::test]
async fn without_mail_a_stream_is_made_and_waits() {
    let app = App::start().await;
    let ann = person(&app, "ann@example.com").await;
    let mute = app.with_accounts(|accounts| crate::accounts::AccountSettings { has_mail: false, ..accounts });
    let (path, confirmed) = made(&mute, &ann, "ops@example.org").await;
    assert!(!confirmed);
    let again = format!("{path}/confirmation");
    assert_eq!(mute.expect(&ann, ("POST", &again), Value::Null, 503).await["code"], "mail_not_set_up");
    let app = mute.with_accounts(|accounts| accounts);
    assert_eq!(app.expect(&ann, ("POST", &again), Value::Null, 409).await["code"], "address_unknown");
}

#[tokio::test]
async fn a_guessed_link_finds_nothing_and_soon_nobody_may_try() {
    let app = App::with_limits(60, 5).await;
    let ann = person(&app, "ann@example.com").await;
    let (path, _) = made(&app, &ann, "ops@example.org").await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let request = ("POST", "/confirm-stream", json!({"token": format!("hfl_{}", "0".repeat(48))}));
        let answer = Browser::at("203.0.113.1").ask(&app, request.0, request.1, request.2).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[9]), (404, 429));
    // A link of another kind is none of these.
    Browser::at("203.0.113.2")
        .ask(&app, "POST", "/api/auth/forgot-password", json!({"email": "ann@example.com"}))
        .await;
    let reset = link(&app, "reset", "ann@example.com").await;
    let answer = Browser::at("203.0.113.3").ask(&app, "POST", "/confirm-stream", json!({"token": reset})).await;
    assert_eq!(answer.status, 404);
    let of_stream = link(&app, "stream", "ops@example.org").await;
    let body = json!({"token": of_stream, "password": "another horse battery"});
    let answer = Browser::at("203.0.113.4").ask(&app, "POST", "/api/auth/reset-password", body).await;
    assert_eq!(answer.status, 422);
    assert!(!is_confirmed(&app, &ann, &path).await);
}
