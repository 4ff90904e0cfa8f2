//! The run webhook: a secret instead of a person (security.md S19).

use crate::testing::{Answer, App, Person};
use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

async fn secret(app: &App, ann: &Person, task: i64) -> String {
    let made = app.expect(ann, ("POST", &format!("/api/backup-tasks/{task}/webhook")), Value::Null, 201).await;
    made["data"]["secret"].as_str().unwrap().to_owned()
}

async fn hook(app: &App, task: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post(format!("/webhooks/backup-tasks/{task}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::empty()).unwrap()).await
}

async fn end_runs(app: &App) {
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_runs SET status = 'failed', completed_at = now()").execute(&pool).await.unwrap();
}

#[tokio::test]
async fn the_secret_starts_its_task_by_either_header_and_is_stored_as_a_hash() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let task = made.task;
    let path = format!("/api/backup-tasks/{task}/webhook");
    let unset = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    let url = format!("http://example.com/webhooks/backup-tasks/{task}/run");
    let expected =
        json!({"backup_task_id": task, "is_set": false, "url": url, "created_at": null, "last_used_at": null});
    assert_eq!(unset["data"], expected);
    let secret = secret(&app, &ann, task).await;
    let run = format!("{task}/run");
    let started = hook(&app, &run, &[("authorization", &format!("Bearer {secret}"))]).await;
    assert_eq!(started.status, 202);
    let body = started.json();
    assert_eq!(body["message"], "Backup task initiated successfully.");
    let shown = format!("/api/backup-runs/{}", body["data"]["backup_run_id"]);
    assert_eq!(app.expect(&ann, ("GET", &shown), Value::Null, 200).await["data"]["trigger"], "webhook");
    let again = hook(&app, &run, &[("x-webhook-secret", &secret)]).await;
    assert_eq!((again.status.as_u16(), again.json()["code"].clone()), (409, json!("already_running")));
    end_runs(&app).await;
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &secret)]).await.status, 202);
    end_runs(&app).await;
    app.expect(&ann, ("POST", &format!("/api/backup-tasks/{task}/pause")), Value::Null, 200).await;
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &secret)]).await.json()["code"], "task_paused");
    let used = app.expect(&ann, ("GET", &path), Value::Null, 200).await["data"].clone();
    assert_eq!((&used["is_set"], &used["last_used_at"]), (&json!(true), &json!("2024-08-07T03:06:40Z")));
    let pool = app.database.owner_pool().await.unwrap();
    let stored = "SELECT count(*) FROM backup_task_webhooks w WHERE w::text LIKE '%' || $1 || '%'";
    let plain: i64 = sqlx::query_scalar(stored).bind(&secret).fetch_one(&pool).await.unwrap();
    let told = "SELECT count(*) FROM audit_events a WHERE a::text LIKE '%' || $1 || '%'";
    let told: i64 = sqlx::query_scalar(told).bind(&secret).fetch_one(&pool).await.unwrap();
    assert_eq!((plain, told), (0, 0));
}

#[tokio::test]
async fn what_is_not_the_tasks_secret_is_like_no_task_at_all() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let run = format!("{}/run", made.task);
    let absent = hook(&app, "4000000000/run", &[("x-webhook-secret", "x")]).await;
    assert_eq!(absent.status, 404);
    let good = secret(&app, &ann, made.task).await;
    let wrong = good.replace(&good[4..8], "0000");
    let bearer = format!("Bearer {good}");
    let token = format!("Bearer {}", ann.token);
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("x-webhook-secret", &wrong)],
        &[("x-webhook-secret", "")],
        &[("x-webhook-secret", &good.to_uppercase())],
        &[("authorization", &token)],
        &[("authorization", &good)],
        &[("authorization", &bearer), ("x-webhook-secret", &good)],
        &[("x-webhook-secret", &good), ("x-webhook-secret", &wrong)],
    ];
    for headers in cases {
        let answer = hook(&app, &run, headers).await;
        assert_eq!((answer.status, &answer.bytes), (absent.status, &absent.bytes), "{headers:?}");
        assert_eq!(answer.headers, absent.headers, "{headers:?}");
    }
    for path in [format!("{run}?token={good}"), "x/run".to_owned(), "-1/run".to_owned()] {
        let answer = hook(&app, &path, &[]).await;
        assert_eq!((answer.status, &answer.bytes), (absent.status, &absent.bytes), "{path}");
    }
    let get = Request::get(format!("/webhooks/backup-tasks/{run}")).body(Body::empty()).unwrap();
    assert_eq!(app.send(get).await.status, 405);
    let newer = secret(&app, &ann, made.task).await;
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &good)]).await.bytes, absent.bytes, "the old one is over");
    let path = format!("/api/backup-tasks/{}/webhook", made.task);
    let gone = app.expect(&ann, ("DELETE", &path), Value::Null, 200).await;
    assert_eq!(gone, json!({"message": "Webhook successfully deleted"}));
    app.expect(&ann, ("DELETE", &path), Value::Null, 404).await;
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &newer)]).await.bytes, absent.bytes);
    let last = secret(&app, &ann, made.task).await;
    let pool = app.database.owner_pool().await.unwrap();
    for (set, status) in [("now()", 404), ("NULL", 202)] {
        let suspend = format!("UPDATE teams SET suspended_at = {set}");
        sqlx::query(sqlx::AssertSqlSafe(suspend)).execute(&pool).await.unwrap();
        assert_eq!(hook(&app, &run, &[("x-webhook-secret", &last)]).await.status, status, "{set}");
    }
    app.expect(&ann, ("DELETE", &format!("/api/backup-tasks/{}", made.task)), Value::Null, 200).await;
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &last)]).await.bytes, absent.bytes, "with its task");
}

#[tokio::test]
async fn ten_calls_a_minute_and_guesses_do_not_use_them_up() {
    let app = App::with_limits(100, 100).await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let run = format!("{}/run", made.task);
    let secret = secret(&app, &ann, made.task).await;
    for id in [run.as_str(), "4000000000/run"] {
        for _ in 0..10 {
            assert_eq!(hook(&app, id, &[("x-webhook-secret", "guess")]).await.status, 404, "{id}");
        }
        let refused = hook(&app, id, &[("x-webhook-secret", "guess")]).await;
        assert_eq!(refused.status, 429, "{id}");
        assert_eq!(refused.json()["message"], "Too many requests. Please try again later.");
    }
    for call in 0..10 {
        let answer = hook(&app, &run, &[("x-webhook-secret", &secret)]).await;
        assert_eq!(answer.status, if call == 0 { 202 } else { 409 }, "{call}");
    }
    let refused = hook(&app, &run, &[("x-webhook-secret", &secret)]).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    app.pass(TimeDelta::seconds(7));
    assert_eq!(hook(&app, &run, &[("x-webhook-secret", &secret)]).await.status, 409);
}

#[tokio::test]
async fn a_secret_is_made_only_by_who_may_run_the_task_too() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}/webhook", made.task);
    let weak = app.token(&ann, Abilities::Only(vec![Ability::UpdateBackupTasks])).await;
    assert_eq!(app.call(&weak, "POST", &path, Value::Null).await.status, 403);
    let strong = Abilities::Only(vec![Ability::UpdateBackupTasks, Ability::RunBackupTasks]);
    let strong = app.token(&ann, strong).await;
    assert_eq!(app.call(&strong, "POST", &path, Value::Null).await.status, 201);
}
