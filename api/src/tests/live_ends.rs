//! What ends a stream, and how many there may be.

use super::live::{Running, ann};
use crate::live::StreamLimits;
use crate::state::ApiParts;
use crate::testing::{App, Person};
use crate::testing_live::Events;
use axum::body::Body;
use axum::http::{Request, header};
use chrono::TimeDelta;
use holdfast_domain::Abilities;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn of_session(app: &App, session: &str, path: &str) -> Events {
    let request = Request::get(path).header(header::COOKIE, format!("holdfast_session={session}"));
    Events::of(app.routers.public.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap())
}

async fn is_cut_off(events: &mut Events) {
    let rest = events.rest().await;
    let last = rest.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data), ("closed", &json!({"reason": "unauthenticated"})));
}

#[tokio::test]
async fn a_stream_dies_with_the_right_that_opened_it() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let pool = app.database.owner_pool().await.unwrap();
    let other = app.token(&ann, Abilities::All).await;
    let session = app.session(&ann).await;
    let mut kept = app.events(&ann.token, &run.path, &[]).await;
    let mut revoked = app.events(&other, &run.path, &[]).await;
    let mut logged_out = of_session(&app, &session, &run.path).await;
    for events in [&mut kept, &mut revoked, &mut logged_out] {
        events.until("state").await;
    }
    let id: i64 = other.split_once('|').unwrap().0.parse().unwrap();
    sqlx::query("UPDATE tokens SET revoked_at = now() WHERE id = $1").bind(id).execute(&pool).await.unwrap();
    is_cut_off(&mut revoked).await;
    sqlx::query("DELETE FROM sessions").execute(&pool).await.unwrap();
    is_cut_off(&mut logged_out).await;
    // The others go on.
    run.write(&["still there"], 1).await;
    assert_eq!(kept.until("log").await.data["content"], "still there");
    sqlx::query("DELETE FROM members WHERE user_id = $1").bind(ann.user_id.0).execute(&pool).await.unwrap();
    is_cut_off(&mut kept).await;
    assert_eq!(app.events(&ann.token, &run.path, &[]).await.status, 401);
}

#[tokio::test]
async fn an_idle_session_and_one_that_went_to_another_team_watch_no_more() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let run = Running::start(&app, &ann, &made).await;
    let pool = app.database.owner_pool().await.unwrap();
    app.events(&ann.token, &run.path, &[]).await;
    let (idle, moved) = (app.session(&ann).await, app.session(&ann).await);
    let mut moved_events = of_session(&app, &moved, &run.path).await;
    moved_events.until("state").await;
    let member = "INSERT INTO members (team_id, user_id, role) VALUES ($1, $2, 'admin')";
    sqlx::query(member).bind(bob.team_id.0).bind(ann.user_id.0).execute(&pool).await.unwrap();
    let switch = "UPDATE sessions SET team_id = $1 WHERE id = (SELECT max(id) FROM sessions)";
    sqlx::query(switch).bind(bob.team_id.0).execute(&pool).await.unwrap();
    is_cut_off(&mut moved_events).await;
    let mut idle_events = of_session(&app, &idle, &run.path).await;
    idle_events.until("state").await;
    app.pass(TimeDelta::days(2));
    is_cut_off(&mut idle_events).await;
}

#[tokio::test]
async fn another_teams_run_has_no_stream() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let run = Running::start(&app, &ann, &made).await;
    let foreign = app.call(&bob.token, "GET", &run.path, Value::Null).await;
    let absent = app.call(&bob.token, "GET", "/api/backup-runs/4000000000/events", Value::Null).await;
    assert_eq!((foreign.status.as_u16(), foreign.bytes), (404, absent.bytes));
}

#[tokio::test]
async fn when_the_process_ends_streams_do() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let mut events = app.events(&ann.token, &run.path, &[]).await;
    events.until("state").await;
    app.routers.stop.cancel();
    let rest = events.rest().await;
    assert_eq!(rest.last().unwrap().data, json!({"reason": "shutdown"}));
}

async fn open(app: &App, person: &Person, path: &str) -> Events {
    let mut events = app.events(&person.token, path, &[]).await;
    events.until("state").await;
    events
}

#[tokio::test]
async fn there_are_only_so_many_streams() {
    let limits = StreamLimits { all: 100, per_team: 100, per_user: 2 };
    let app = App::start().await.with_parts(|parts| ApiParts { event_streams: limits, ..parts });
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let first = open(&app, &ann, &run.path).await;
    let _second = open(&app, &ann, &run.path).await;
    let refused = app.call(&ann.token, "GET", &run.path, Value::Null).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!("too_many_streams")));
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    drop(first);
    open(&app, &ann, &run.path).await;
}

#[tokio::test]
async fn a_reader_that_does_not_keep_up_is_ended_and_goes_on_where_it_was() {
    let app = App::start().await;
    let (ann, made) = ann(&app).await;
    let run = Running::start(&app, &ann, &made).await;
    let (mut slow, mut quick) = (open(&app, &ann, &run.path).await, open(&app, &ann, &run.path).await);
    // One at a time, each seen by the other reader: so each is an update of its own, and they are more than the ring holds.
    for n in 1..=60u64 {
        run.write(&[&format!("{n}")], n).await;
        assert_eq!(quick.until("log").await.data["content"], n.to_string());
    }
    let got = slow.rest().await;
    let last = got.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data), ("closed", &json!({"reason": "too_slow"})));
    let mut again = app.events(&ann.token, &run.path, &[("last-event-id", &last.id)]).await;
    let seen = got.iter().filter(|event| event.name == "log").count();
    for n in seen + 1..=60 {
        assert_eq!(again.until("log").await.data["content"], n.to_string());
    }
}
