//! Whose address throttles and the audit log hold: the socket's peer, or what trusted proxies say.

use crate::extract::client_address::Peer;
use crate::state::ApiParts;
use crate::testing::{Answer, App};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const PROXY: &str = "10.1.2.3";

async fn through(app: &App, peer: &str, forwarded: &str, token: &str, label: &str) -> Answer {
    let mut request = Request::post("/api/tags")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-forwarded-for", forwarded)
        .header("x-real-ip", "203.0.113.66")
        .header("forwarded", "for=203.0.113.67")
        .body(Body::from(json!({"label": label}).to_string()))
        .unwrap();
    request.extensions_mut().insert(Peer(peer.parse().unwrap()));
    app.send(request).await
}

fn behind_proxy(parts: ApiParts) -> ApiParts {
    ApiParts { trusted_proxies: vec!["10.1.0.0/16".parse().unwrap()], ..parts }
}

#[tokio::test]
async fn the_audit_log_says_what_a_trusted_proxy_says_and_nobody_else() {
    let app = App::start().await.with_parts(behind_proxy);
    let ann = app.person("ann@example.com", Abilities::All).await;
    for (peer, forwarded, label) in
        [(PROXY, "1.1.1.1, 203.0.113.7", "a"), ("198.51.100.9", "203.0.113.7", "b"), (PROXY, "unknown", "c")]
    {
        assert_eq!(through(&app, peer, forwarded, &ann.token, label).await.status, 201);
    }
    let none = app.token(&ann, Abilities::Only(Vec::new())).await;
    assert_eq!(through(&app, PROXY, "203.0.113.8", &none, "d").await.status, 403, "a refusal is recorded too");
    let log = app.expect(&ann, ("GET", "/api/audit-events?per_page=100"), Value::Null, 200).await;
    let seen: Vec<_> = log["data"].as_array().unwrap().iter().filter_map(|row| row["ip_address"].as_str()).collect();
    let mut seen: Vec<_> = seen.into_iter().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, [PROXY, "198.51.100.9", "203.0.113.7", "203.0.113.8"], "{log}");
}

#[tokio::test]
async fn guesses_are_counted_by_client_and_a_header_does_not_help_to_escape() {
    let app = App::start().await;
    let app = app.with_parts(|parts| ApiParts { rate_limit_per_min: 60, ..behind_proxy(parts) });
    let until_refused = async |peer: &str, forwarded: fn(usize) -> String| {
        for n in 0..400 {
            if through(&app, peer, &forwarded(n), "no-such-token", "x").await.status == 429 {
                return Some(n);
            }
        }
        None
    };
    assert!(until_refused("198.51.100.9", |n| format!("203.0.113.{}", n % 250)).await.is_some(), "no proxy: its own");
    assert!(until_refused(PROXY, |_| "203.0.113.7".to_owned()).await.is_some(), "one client behind the proxy");
    assert_eq!(through(&app, PROXY, "203.0.113.8", "no-such-token", "x").await.status, 401, "another client behind it");
}

#[tokio::test]
async fn a_run_by_webhook_is_recorded_with_its_callers_address() {
    let app = App::start().await.with_parts(behind_proxy);
    let ann = app.person("ann@example.com", Abilities::All).await;
    let task = app.definitions(&ann).await.task;
    let made = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{task}/webhook")), Value::Null, 201).await;
    let mut request = Request::post(format!("/webhooks/backup-tasks/{task}/run"))
        .header("x-webhook-secret", made["data"]["secret"].as_str().unwrap())
        .header("x-forwarded-for", "203.0.113.9")
        .body(Body::empty())
        .unwrap();
    request.extensions_mut().insert(Peer(PROXY.parse().unwrap()));
    assert_eq!(app.send(request).await.status, 202);
    let log = app.expect(&ann, ("GET", "/api/audit-events?filter[action]=backup_task.run"), Value::Null, 200).await;
    assert_eq!(log["data"][0]["ip_address"], "203.0.113.9", "{log}");
}
