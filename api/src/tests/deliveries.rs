//! What the team was told, and telling it again.

use crate::testing::{App, Person};
use chrono::TimeDelta;
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

async fn ann(app: &App) -> (Person, i64) {
    let ann = app.person("ann@example.com", Abilities::All).await;
    let stream = app.stream(&ann).await;
    (ann, stream)
}

#[tokio::test]
async fn what_did_not_arrive_is_found_and_sent_again() {
    let app = App::start().await;
    let (ann, stream) = ann(&app).await;
    let other = app.stream(&ann).await;
    let dead = app.delivery(&ann, stream, "dead").await;
    app.delivery(&ann, stream, "sent").await;
    app.delivery(&ann, other, "dead").await;
    let ids = |list: &Value| -> Vec<i64> {
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    let path = format!("/api/deliveries?filter[state]=dead&filter[notification_stream_id]={stream}");
    let list = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(ids(&list), [dead]);
    assert_eq!(list["data"][0]["message"]["title"], "Nightly failed");
    assert_eq!(list["data"][0]["message"]["reason"], "The disk is full.");
    assert_eq!(list["data"][0]["next_attempt_at"], Value::Null);
    app.expect(&ann, ("GET", "/api/deliveries?filter[state]=lost"), Value::Null, 422).await;
    let resend = format!("/api/deliveries/{dead}/resend");
    let sent = app.expect(&ann, ("POST", &resend), Value::Null, 202).await;
    assert_eq!((&sent["data"]["state"], &sent["data"]["attempts"]), (&json!("pending"), &json!(0)));
    let twice = app.expect(&ann, ("POST", &resend), Value::Null, 409).await;
    assert_eq!(twice["code"], "delivery_pending");
    let pool = app.database.owner_pool().await.unwrap();
    let jobs = "SELECT count(*) FROM apalis.jobs WHERE job_type = 'send_delivery'";
    assert_eq!(sqlx::query_scalar::<_, i64>(jobs).fetch_one(&pool).await.unwrap(), 1);
    let told = "SELECT count(*) FROM audit_events WHERE action = 'delivery.resend'";
    assert_eq!(sqlx::query_scalar::<_, i64>(told).fetch_one(&pool).await.unwrap(), 1);
}

#[tokio::test]
async fn looking_is_not_sending() {
    let app = App::start().await;
    let (ann, stream) = ann(&app).await;
    let dead = app.delivery(&ann, stream, "dead").await;
    let looker = app.token(&ann, Abilities::Only(vec![Ability::ViewNotificationStreams])).await;
    let shown = app.call(&looker, "GET", &format!("/api/deliveries/{dead}"), Value::Null).await;
    assert_eq!(shown.status, 200);
    let sent = app.call(&looker, "POST", &format!("/api/deliveries/{dead}/resend"), Value::Null).await;
    assert_eq!(sent.status, 403);
}

#[tokio::test]
async fn quiet_mode_has_an_end_and_ends_by_itself() {
    let app = App::start().await;
    let (ann, _) = ann(&app).await;
    const PATH: &str = "/api/notification-settings";
    let shown = app.expect(&ann, ("GET", PATH), Value::Null, 200).await;
    assert_eq!(shown["data"], json!({"quiet_until": null}));
    let at = |hours: i64| json!({"quiet_until": (app.now() + TimeDelta::hours(hours)).to_rfc3339()});
    for bad in [at(0), at(-1), at(24 * 367), json!({"quiet_until": "tomorrow"}), json!({"quiet_until": 5}), json!({})] {
        app.expect(&ann, ("PUT", PATH), bad, 422).await;
    }
    let set = app.expect(&ann, ("PUT", PATH), at(2), 200).await;
    assert!(set["data"]["quiet_until"].is_string());
    assert_eq!(app.expect(&ann, ("GET", PATH), Value::Null, 200).await, set);
    app.expect(&ann, ("PUT", PATH), json!({"quiet_until": null}), 200).await;
    assert_eq!(app.expect(&ann, ("GET", PATH), Value::Null, 200).await["data"]["quiet_until"], Value::Null);
    app.expect(&ann, ("PUT", PATH), at(2), 200).await;
    app.pass(TimeDelta::hours(3));
    assert_eq!(app.expect(&ann, ("GET", PATH), Value::Null, 200).await["data"]["quiet_until"], Value::Null);
}
