//! The weekly digest, switched on and off by a person.

use crate::testing::{App, Person};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const ENABLED: &str = "/data/account_settings/weekly_summary_enabled";

async fn change(app: &App, ann: &Person, body: Value) -> Value {
    app.expect(ann, ("PATCH", "/api/user"), body, 200).await.pointer(ENABLED).unwrap().clone()
}

async fn next(app: &App) -> Option<String> {
    let pool = app.database.owner_pool().await.unwrap();
    let next: Option<DateTime<Utc>> =
        sqlx::query_scalar("SELECT next_digest_at FROM users WHERE email = 'ann@example.com'")
            .fetch_one(&pool)
            .await
            .unwrap();
    next.map(|at| at.format("%Y-%m-%dT%H:%M").to_string())
}

#[tokio::test]
async fn a_person_switches_it_on_and_off_and_it_follows_their_zone() {
    // 2024-08-07 was a Wednesday.
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let shown = app.expect(&ann, ("GET", "/api/user"), Value::Null, 200).await;
    assert_eq!(shown.pointer(ENABLED), Some(&json!(false)));
    assert_eq!(change(&app, &ann, json!({"weekly_summary_enabled": true, "timezone": "Europe/Berlin"})).await, true);
    assert_eq!(next(&app).await.as_deref(), Some("2024-08-12T06:00"));
    assert_eq!(change(&app, &ann, json!({"timezone": "America/New_York"})).await, true);
    assert_eq!(next(&app).await.as_deref(), Some("2024-08-12T12:00"));
    assert_eq!(change(&app, &ann, json!({"name": "Ann B."})).await, true);
    assert_eq!(change(&app, &ann, json!({"weekly_summary_enabled": false})).await, false);
    assert_eq!(next(&app).await, None);
    for wrong in [json!("often"), json!(2), Value::Null] {
        app.expect(&ann, ("PATCH", "/api/user"), json!({"weekly_summary_enabled": wrong}), 422).await;
    }
}

#[tokio::test]
async fn switched_off_and_on_again_on_its_day_it_waits_for_the_next_week() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    change(&app, &ann, json!({"weekly_summary_enabled": true, "timezone": "Asia/Tokyo"})).await;
    assert_eq!(next(&app).await.as_deref(), Some("2024-08-11T23:00"));
    // It was sent.
    let pool = app.database.owner_pool().await.unwrap();
    let sent = "UPDATE users SET last_digest_at = next_digest_at, next_digest_at = next_digest_at + interval '7 days'";
    sqlx::query(sent).execute(&pool).await.unwrap();
    app.pass(TimeDelta::days(5));
    // In Honolulu it is not Monday yet.
    change(&app, &ann, json!({"timezone": "Pacific/Honolulu"})).await;
    assert_eq!(next(&app).await.as_deref(), Some("2024-08-19T18:00"));
    change(&app, &ann, json!({"weekly_summary_enabled": false})).await;
    change(&app, &ann, json!({"weekly_summary_enabled": true})).await;
    assert_eq!(next(&app).await.as_deref(), Some("2024-08-19T18:00"));
}
