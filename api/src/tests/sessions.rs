//! A session's cookie is as good as a token, for a page of ours alone, and for as long as it lasts.

use crate::extract::Need;
use crate::routes::rows;
use crate::testing::App;
use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

#[tokio::test]
async fn a_session_acts_as_its_person_and_ends_when_idle_or_old() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::Only(vec![])).await;
    let session = app.session(&ann).await;
    let user = app.browse(&session, "GET", "/api/user", Value::Null).await;
    assert_eq!((user.status.as_u16(), user.json()["data"]["id"].as_i64()), (200, Some(ann.user_id.0)));
    assert_eq!(app.browse(&session, "GET", "/api/backup-tasks", Value::Null).await.status, 200);
    assert_eq!(app.browse("hfc_00", "GET", "/api/user", Value::Null).await.status, 401);
    app.pass(TimeDelta::hours(23));
    assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 200);
    app.pass(TimeDelta::hours(23));
    assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 200, "use keeps it");
    app.pass(TimeDelta::hours(25));
    assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 401, "idle");
    let session = app.session(&ann).await;
    for _ in 0..14 {
        app.pass(TimeDelta::hours(23));
        assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 200);
    }
    app.pass(TimeDelta::hours(15));
    assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 401, "old, however much it is used");
}

#[tokio::test]
async fn an_authorization_header_wins_and_a_session_is_no_token() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::Only(vec![Ability::ViewBackups])).await;
    let session = app.session(&ann).await;
    let get = |bearer: &str| {
        Request::get("/api/backup-tasks")
            .header("cookie", format!("holdfast_session={session}"))
            .header("authorization", format!("Bearer {bearer}"))
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(app.send(get(&ann.token)).await.status, 403, "the token's abilities, not the session's");
    assert_eq!(app.send(get("nonsense")).await.status, 401);
    assert_eq!(app.send(get(&session)).await.status, 401);
    let as_bearer = app.call(&session, "GET", "/api/user", Value::Null).await;
    assert_eq!(as_bearer.status, 401);
}

#[tokio::test]
async fn suspension_ends_what_a_session_may_at_once() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let session = app.session(&ann).await;
    let pool = app.database.owner_pool().await.unwrap();
    for table in ["users", "teams"] {
        for (set, status) in [("now()", 401), ("NULL", 200)] {
            let change = format!("UPDATE {table} SET suspended_at = {set}");
            sqlx::query(sqlx::AssertSqlSafe(change)).execute(&pool).await.unwrap();
            assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, status, "{table}");
        }
    }
    sqlx::query("UPDATE sessions SET stage = 'challenge'").execute(&pool).await.unwrap();
    assert_eq!(app.browse(&session, "GET", "/api/user", Value::Null).await.status, 401, "the second factor is owed");
}

#[tokio::test]
async fn another_sites_page_cannot_write_with_a_sessions_cookie() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let session = app.session(&ann).await;
    let body = json!({"name": "Changed"}).to_string();
    let patch = |kind: &str, headers: &[(&str, &str)]| {
        let mut request = Request::patch("/api/user").header("cookie", format!("holdfast_session={session}"));
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.clone())).unwrap()
    };
    const OURS: &[(&str, &str)] = &[("origin", "http://example.com")];
    type Case = (&'static str, &'static [(&'static str, &'static str)], u16);
    let cases: [Case; 10] = [
        ("application/json", OURS, 200),
        ("application/json", &[("sec-fetch-site", "same-origin")], 200),
        ("application/json", &[], 403),
        ("application/json", &[("origin", "https://evil.example")], 403),
        ("application/json", &[("origin", "null")], 403),
        ("application/json", &[("origin", "http://example.com"), ("sec-fetch-site", "cross-site")], 403),
        ("application/json", &[("origin", "http://example.com"), ("sec-fetch-site", "same-site")], 403),
        ("text/plain", OURS, 415),
        ("application/x-www-form-urlencoded", OURS, 415),
        ("multipart/form-data; boundary=x", OURS, 415),
    ];
    for (kind, headers, status) in cases {
        let answer = app.send(patch(kind, headers)).await;
        assert_eq!(answer.status, status, "{kind} {headers:?}: {}", String::from_utf8_lossy(&answer.bytes));
        let name = app.browse(&session, "GET", "/api/user", Value::Null).await.json()["data"]["personal_info"].clone();
        assert_eq!(name["name"] == "Changed", status == 200, "{kind} {headers:?}");
        let reset = app.browse(&session, "PATCH", "/api/user", json!({"name": "Ann"})).await;
        assert_eq!(reset.status, 200);
    }
}

#[tokio::test]
async fn dangerous_acts_want_a_fresh_log_in_of_a_session_and_an_ability_of_a_token() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let session = app.session(&ann).await;
    let (mut fresh, mut others) = (0, 0);
    for (age, is_stale) in [(TimeDelta::minutes(10), false), (TimeDelta::minutes(1), true)] {
        app.pass(age);
        for row in rows().into_iter().filter(|row| !row.need.is_open() && row.need != Need::Session) {
            let path = row.path.replace("{id}", "4000000000");
            let name = format!("{} {}", row.method, row.path);
            let answer = app.browse(&session, &row.method, &path, Value::Null).await;
            let is_refused = answer.status == 403 && answer.json()["code"] == "reauth_required";
            assert_eq!(is_refused, row.is_fresh && is_stale, "{name}: {}", answer.status);
            if row.is_fresh { fresh += 1 } else { others += 1 }
        }
    }
    assert!(fresh > 20 && others > 20, "{fresh} {others}");
    let by_token =
        app.call(&ann.token, "POST", "/api/backup-destinations", json!({"label": "d", "type": "local"})).await;
    assert_eq!(by_token.status, 201, "a token's abilities decide");
}
