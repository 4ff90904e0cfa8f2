//! The table of routes and abilities is what is enforced, and what is committed.

use super::world::{ABSENT, Shown, World, at, name};
use crate::extract::Need;
use crate::routes::{Row, rows};
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

/// Each ability alone, at every route, with ids of the team's own things: what it opens is what the table says.
#[tokio::test]
async fn each_route_answers_exactly_those_who_may() {
    let world = World::new().await;
    let before = world.anns_rows().await;
    let ann = &world.ann.person;
    let carl = world.app.person("carl@example.com", Abilities::All).await;
    let ask = async |token: &str, row: &Row, id: i64| {
        world.app.as_who(&Shown::Bearer(token.to_owned()), 1, (&row.method, &at(row, id)), &Value::Null).await
    };
    let closed: Vec<_> = rows().into_iter().filter(|row| !row.need.is_open()).collect();
    let mut alone = Vec::new();
    for ability in Ability::ALL.iter().copied() {
        alone.push((ability, world.app.token(ann, Abilities::Only(vec![ability])).await));
    }
    for row in &closed {
        let name = name(row);
        let own = if row.path.contains("{id}") { world.ann.id(&row.path) } else { 0 };
        for (ability, token) in &alone {
            if row.need == Need::Session {
                let refused = ask(token, row, own).await;
                assert_eq!(
                    (refused.status.as_u16(), &refused.json()["code"]),
                    (403, &json!("session_required")),
                    "{name}"
                );
                continue;
            }
            let (Need::Ability(needed) | Need::Operator(needed)) = row.need else {
                assert_ne!(ask(token, row, own).await.status, 403, "{name}");
                continue;
            };
            if *ability == needed {
                // An absent one: what the ability is for must not happen here.
                let status = ask(token, row, ABSENT).await.status;
                assert!(!matches!(status.as_u16(), 401 | 403 | 500), "{name}: {status}");
                continue;
            }
            let refused = ask(token, row, own).await;
            assert_eq!(refused.status, 403, "{name} with {}", ability.as_str());
            let message = refused.json()["message"].as_str().unwrap().to_owned();
            let names = message.ends_with(&format!("Required token ability scopes: {}", needed.as_str()));
            assert!(names, "{name}: {message}");
        }
        let of_carl = ask(&carl.token, row, ABSENT).await;
        let is_refused = of_carl.status == 403 && of_carl.json()["code"] == "operators_only";
        assert_eq!(is_refused, matches!(row.need, Need::Operator(_)), "{name}");
    }
    assert_eq!(without_refusals(world.anns_rows().await), without_refusals(before), "a refused call did something");
}

/// That somebody was refused is written down, and the tokens of the test are new; nothing else may be.
pub(super) fn without_refusals(rows: Vec<String>) -> Vec<String> {
    let is_kept = |row: &String| !row.starts_with("public.audit_") && !row.starts_with("public.tokens ");
    rows.into_iter().filter(is_kept).collect()
}

/// Every route answers what is no longer, not yet or never was a right as it answers nobody.
#[tokio::test]
async fn what_gives_no_right_is_answered_like_nobody() {
    let world = World::new().await;
    let (app, ann) = (&world.app, &world.ann.person);
    let pool = app.database.owner_pool().await.unwrap();
    let carl = app.person("carl@example.com", Abilities::All).await;
    let carls_session = app.session(&carl).await;
    let (ended, expired) = (app.session(ann).await, app.token(ann, Abilities::All).await);
    let revoked = app.token(ann, Abilities::All).await;
    let id = |token: &str| token.split_once('|').unwrap().0.parse::<i64>().unwrap();
    let session = app.session(ann).await;
    for (sql, id) in [
        ("UPDATE tokens SET revoked_at = now() WHERE id = $1", id(&revoked)),
        ("UPDATE tokens SET expires_at = now() - interval '1 s' WHERE id = $1", id(&expired)),
        ("UPDATE users SET suspended_at = now() WHERE id = $1", carl.user_id.0),
    ] {
        assert_eq!(sqlx::query(sql).bind(id).execute(&pool).await.unwrap().rows_affected(), 1, "{sql}");
    }
    app.browse(&ended, "POST", "/api/auth/logout", Value::Null).await;
    let hash: Vec<u8> = sqlx::query_scalar("SELECT secret_hash FROM tokens WHERE id = $1")
        .bind(id(&ann.token))
        .fetch_one(&pool)
        .await
        .unwrap();
    let secret = ann.token.split_once('|').unwrap().1;
    let none = [
        Shown::Bearer(revoked),
        Shown::Bearer(expired),
        Shown::Bearer(carl.token.clone()),
        Shown::Bearer(session.clone()),
        Shown::Bearer(hash.iter().map(|byte| format!("{byte:02x}")).collect()),
        Shown::Bearer(format!("{}|{secret}x", id(&ann.token))),
        Shown::Bearer("1|".to_owned()),
        Shown::Cookie(carls_session),
        Shown::Cookie(ended),
        Shown::Cookie(ann.token.clone()),
        Shown::Cookie(secret.to_owned()),
        Shown::Cookie(String::new()),
    ];
    let before = world.anns_rows().await;
    let mut from = 0;
    for row in rows().into_iter().filter(|row| !row.need.is_open()) {
        let path = if row.path.contains("{id}") { at(&row, world.ann.id(&row.path)) } else { row.path.clone() };
        let body = world.ann.body(&row);
        let nobody = app.as_who(&Shown::Nothing, 0, (&row.method, &path), &body).await;
        assert_eq!(nobody.status, 401, "{}", name(&row));
        for shown in &none {
            from += 1;
            let answer = app.as_who(shown, from, (&row.method, &path), &body).await;
            assert_eq!(answer.status, 401, "{} {shown:?}", name(&row));
            assert_eq!(answer.bytes, nobody.bytes, "{} {shown:?}", name(&row));
            assert_eq!(answer.headers, nobody.headers, "{} {shown:?}", name(&row));
        }
    }
    assert_eq!(world.anns_rows().await, before, "a call without a right did something");
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
