//! The table of routes and abilities is what is enforced, and what is committed.

use crate::extract::Need;
use crate::routes::rows;
use crate::testing::App;
use axum::http::StatusCode;
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const COMMITTED: &str = include_str!("../../authorization.txt");

fn printed() -> String {
    let mut text = String::from(
        "# Route × ability. Printed from api/src/routes/mod.rs; to accept a change: HOLDFAST_BLESS=1 and run the tests again.\n",
    );
    for row in rows() {
        let fresh = if row.is_fresh { ", fresh" } else { "" };
        text.push_str(&format!("{:<6} {:<42} {}{fresh}\n", row.method, row.path, row.need));
    }
    text
}

#[test]
fn the_committed_table_is_the_one_in_the_code() {
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/authorization.txt"), printed()).unwrap();
        return;
    }
    assert_eq!(printed(), COMMITTED, "a right changed: look at it, then run the tests with HOLDFAST_BLESS=1");
}

#[test]
fn every_operation_of_the_document_has_exactly_one_row() {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let listed: Vec<_> = rows().into_iter().map(|row| (row.method, row.path)).collect();
    assert_eq!(listed.len(), described.len(), "a row is missing or doubled");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), described);
}

#[tokio::test]
async fn each_route_answers_exactly_those_who_may() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    for row in rows() {
        let path = row.path.replace("{id}", "1");
        let name = format!("{} {}", row.method, row.path);
        if row.need.is_open() {
            continue;
        }
        assert_eq!(app.call("", &row.method, &path, Value::Null).await.status, 401, "{name}");
        if row.need == Need::Session {
            let refused = app.call(&ann.token, &row.method, &path, Value::Null).await;
            assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (403, &json!("session_required")), "{name}");
            continue;
        }
        let (Need::Ability(needed) | Need::Operator(needed)) = row.need else {
            let none = app.token(&ann, Abilities::Only(vec![])).await;
            assert_ne!(app.call(&none, &row.method, &path, Value::Null).await.status, 403, "{name}");
            continue;
        };
        let others = Ability::ALL.iter().copied().filter(|ability| *ability != needed).collect();
        let others = app.token(&ann, Abilities::Only(others)).await;
        let refused = app.call(&others, &row.method, &path, Value::Null).await;
        assert_eq!(refused.status, 403, "{name}");
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with(&format!("Required token ability scopes: {}", needed.as_str())), "{name}: {message}");
        let only = app.token(&ann, Abilities::Only(vec![needed])).await;
        let status = app.call(&only, &row.method, &path, Value::Null).await.status;
        assert!(!matches!(status.as_u16(), 401 | 403 | 500), "{name}: {status}");
        let of_bob = app.call(&bob.token, &row.method, &path, Value::Null).await;
        let is_for_operators = matches!(row.need, Need::Operator(_));
        assert_eq!(of_bob.status == 403 && of_bob.json()["code"] == "operators_only", is_for_operators, "{name}");
    }
}

#[tokio::test]
async fn what_is_near_a_token_is_no_token() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let secret = ann.token.split_once('|').unwrap().1.to_owned();
    let get = |value: String| {
        axum::http::Request::get("/api/user").header("authorization", value).body(axum::body::Body::empty()).unwrap()
    };
    for good in [format!("Bearer {}", ann.token), format!("bearer {}", ann.token), format!("Bearer {secret}")] {
        assert_eq!(app.send(get(good)).await.status, 200);
    }
    let upper = ann.token.to_uppercase();
    for bad in [
        format!("Bearer {} ", ann.token),
        format!("Bearer {upper}"),
        ann.token.clone(),
        format!("Basic {secret}"),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        "Bearer ".to_owned(),
    ] {
        let answer = app.send(get(bad.clone())).await;
        assert_eq!(answer.status, 401, "{bad}");
        assert_eq!(answer.json()["message"], "Unauthenticated.");
    }
    let twice = axum::http::Request::get("/api/user")
        .header("authorization", format!("Bearer {}", ann.token))
        .header("authorization", format!("Bearer {}", ann.token));
    assert_eq!(app.send(twice.body(axum::body::Body::empty()).unwrap()).await.status, 401);
    let by_query = app.call("", "GET", &format!("/api/user?token={}", ann.token), Value::Null).await;
    assert_eq!(by_query.status, 401);
}

#[tokio::test]
async fn a_revoked_token_ends_with_the_next_request() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 200);
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE tokens SET revoked_at = now()").execute(&pool).await.unwrap();
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 401);
}

#[tokio::test]
async fn deleting_what_is_in_use_needs_the_cascade_and_its_own_ability() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/remote-servers/{}", made.server);
    let refused = app.expect(&ann, ("DELETE", &path), Value::Null, 409).await;
    assert_eq!(refused["counts"]["backup_tasks"], 1);
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_tasks SET sealed_isolated_password = 'sealed'").execute(&pool).await.unwrap();
    let weak = app.token(&ann, Abilities::Only(vec![Ability::DeleteRemoteServers])).await;
    let cascade = format!("{path}?cascade=1");
    assert_eq!(app.call(&weak, "DELETE", &cascade, Value::Null).await.status, StatusCode::FORBIDDEN);
    let done = app.expect(&ann, ("DELETE", &cascade), Value::Null, 200).await;
    assert_eq!(done["message"], "Remote server successfully deleted");
    let key = app.expect(&ann, ("GET", "/api/ssh-key"), Value::Null, 200).await;
    assert_eq!(done["key_left_behind"], key["authorized_keys_line"]);
    let log_ins = "SELECT count(*) FROM backup_tasks WHERE sealed_isolated_password IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(log_ins).fetch_one(&pool).await.unwrap(), 0);
    app.expect(&ann, ("GET", &format!("/api/backup-tasks/{}", made.task)), Value::Null, 404).await;
    app.expect(&ann, ("GET", &path), Value::Null, 404).await;
}
