//! Limits of servers and destinations, priorities, what overlapping runs do, and trying again.

use crate::testing::App;
use holdfast_domain::Abilities;
use holdfast_store::fleet::Round;
use holdfast_store::repositories::workers::WorkerState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_server_and_a_destination_say_how_many_runs_they_take() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    for (path, usual) in [
        (format!("/api/remote-servers/{}", made.server), json!(1)),
        (format!("/api/backup-destinations/{}", made.destination), Value::Null),
    ] {
        let limits = async |body: Value| app.expect(&ann, ("PUT", &path), body, 200).await["data"]["limits"].clone();
        assert_eq!(limits(json!({})).await, json!({"runs_at_once": usual}));
        assert_eq!(limits(json!({"limits": {"runs_at_once": 3}})).await, json!({"runs_at_once": 3}));
        assert_eq!(limits(json!({"limits": {}})).await, json!({"runs_at_once": 3}), "absent is unchanged");
        assert_eq!(limits(json!({"limits": {"runs_at_once": null}})).await, json!({"runs_at_once": usual}));
        for bad in [json!(0), json!(101), json!("many")] {
            let answer = app.expect(&ann, ("PUT", &path), json!({"limits": {"runs_at_once": bad}}), 422).await;
            assert!(answer["errors"]["limits.runs_at_once"].is_array(), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_task_has_a_priority_and_says_what_an_overlap_does() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let task = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!((&task["data"]["priority"], &task["data"]["on_overlap"]), (&json!(5), &json!("refuse")));
    let changed = app.expect(&ann, ("PUT", &path), json!({"priority": 9, "on_overlap": "queue"}), 200).await;
    assert_eq!((&changed["data"]["priority"], &changed["data"]["on_overlap"]), (&json!(9), &json!("queue")));
    app.expect(&ann, ("PUT", &path), json!({"priority": 10}), 422).await;
    app.expect(&ann, ("PUT", &path), json!({"on_overlap": "both"}), 422).await;
}

#[tokio::test]
async fn a_run_that_meets_another_one_is_refused_queued_once_or_skipped() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (task, run) = (format!("/api/backup-tasks/{}", made.task), format!("/api/backup-tasks/{}/run", made.task));
    app.expect(&ann, ("POST", &run), Value::Null, 202).await;
    assert_eq!(app.expect(&ann, ("POST", &run), Value::Null, 409).await["code"], "already_running");
    app.expect(&ann, ("PUT", &task), json!({"on_overlap": "queue"}), 200).await;
    let behind = app.expect(&ann, ("POST", &run), Value::Null, 202).await["data"]["backup_run_id"].clone();
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{behind}")), Value::Null, 200).await;
    assert_eq!((&shown["data"]["status"], &shown["data"]["is_behind"]), (&json!("queued"), &json!(true)));
    assert_eq!(app.expect(&ann, ("POST", &run), Value::Null, 409).await["code"], "already_queued");
    app.expect(&ann, ("PUT", &task), json!({"on_overlap": "skip"}), 200).await;
    let skipped = app.expect(&ann, ("POST", &run), Value::Null, 202).await["data"]["backup_run_id"].clone();
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{skipped}")), Value::Null, 200).await;
    assert_eq!(shown["data"]["status"], "skipped");
    app.expect(&ann, ("DELETE", &task), Value::Null, 200).await;
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{behind}")), Value::Null, 200).await;
    assert_eq!(shown["data"]["status"], "cancelled", "it goes with its task");
}

#[tokio::test]
async fn a_failed_run_is_tried_again_and_says_so() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let run = format!("/api/backup-tasks/{}/run", made.task);
    let body = json!({"backup_destination_ids": [made.destination]});
    let first = app.expect(&ann, ("POST", &run), body, 202).await["data"]["backup_run_id"].clone();
    let retry = format!("/api/backup-runs/{first}/retry");
    assert_eq!(app.expect(&ann, ("POST", &retry), Value::Null, 409).await["code"], "not_failed");
    let pool = app.database.owner_pool().await.unwrap();
    let fail = "UPDATE backup_runs SET status = 'failed', completed_at = now()";
    sqlx::query(fail).execute(&pool).await.unwrap();
    app.expect(&bob, ("POST", &retry), Value::Null, 404).await;
    let second = app.expect(&ann, ("POST", &retry), Value::Null, 202).await["data"]["backup_run_id"].clone();
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{second}")), Value::Null, 200).await;
    assert_eq!((&shown["data"]["retry_of"], &shown["data"]["status"]), (&first, &json!("queued")));
    let same: bool = sqlx::query_scalar(
        "SELECT a.destination_ids = b.destination_ids FROM backup_runs a JOIN backup_runs b ON b.retry_of = a.id",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert!(same, "to the same destinations");
    assert_eq!(app.expect(&ann, ("POST", &retry), Value::Null, 409).await["code"], "already_running");
    sqlx::query(fail).execute(&pool).await.unwrap();
    app.expect(&ann, ("DELETE", &format!("/api/backup-tasks/{}", made.task)), Value::Null, 200).await;
    assert_eq!(app.expect(&ann, ("POST", &retry), Value::Null, 409).await["code"], "task_deleted");
}

#[tokio::test]
async fn an_operator_sees_workers_with_what_they_hold_and_those_that_drain() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    let run = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 202).await;
    for name in ["one", "two"] {
        let state = WorkerState {
            name,
            version: "9.9.9",
            data_plane_url: "http://127.0.0.1:1",
            store_ids: &["a".to_owned()],
            running: 1,
            capacity: 4,
            host: "box",
            load_1m: Some(0.5),
        };
        app.store.worker_seen(&state).await.unwrap();
    }
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_runs SET status = 'running', owner = 'one'").execute(&pool).await.unwrap();
    app.store.worker_drains("two").await.unwrap();
    let listed = app.expect(&ann, ("GET", "/api/system/workers"), Value::Null, 200).await;
    let [one, two] = listed["data"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&one["name"], &one["host"], &one["version"]), (&json!("one"), &json!("box"), &json!("9.9.9")));
    assert_eq!((&one["capacity"], &one["load_1m"], &one["store_ids"]), (&json!(4), &json!(0.5), &json!(["a"])));
    assert_eq!(one["holds"]["backup_runs"], json!([run["data"]["backup_run_id"]]));
    assert_eq!((&one["is_alive"], &one["draining_since"]), (&json!(true), &Value::Null));
    assert_eq!((&two["name"], &two["is_alive"]), (&json!("two"), &json!(false)));
    assert!(two["draining_since"].is_string(), "{two}");
    app.store.worker_gone("two").await.unwrap();
    let listed = app.expect(&ann, ("GET", "/api/system/workers"), Value::Null, 200).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_operator_sees_the_periodic_jobs_and_wants_one_now() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let round = Round {
        name: "purges",
        interval_secs: 600.0,
        worker: "w",
        took_secs: 2.0,
        error: Some("database".to_owned()),
        is_forced: false,
    };
    app.store.note_round(&round).await.unwrap();
    let jobs = async || app.expect(&ann, ("GET", "/api/system/jobs"), Value::Null, 200).await["data"][0].clone();
    let job = jobs().await;
    assert_eq!((&job["name"], &job["worker"], &job["interval_secs"]), (&json!("purges"), &json!("w"), &json!(600.0)));
    assert_eq!((&job["last_result"], &job["last_error"]), (&json!("failed"), &json!("database")));
    assert_eq!(job["requested_at"], Value::Null);
    app.expect(&ann, ("POST", "/api/system/jobs/run"), json!({"name": "nothing"}), 422).await;
    app.expect(&ann, ("POST", "/api/system/jobs/run"), json!({"name": "purges"}), 202).await;
    assert!(jobs().await["requested_at"].is_string());
    assert_eq!(app.store.take_requested_round(&["others"]).await.unwrap(), None, "another release's job");
    assert_eq!(app.store.take_requested_round(&["purges"]).await.unwrap().as_deref(), Some("purges"));
    assert_eq!(app.store.take_requested_round(&["purges"]).await.unwrap(), None, "one worker answers it");
    app.store.note_round(&Round { error: None, is_forced: true, ..round }).await.unwrap();
    let job = jobs().await;
    assert_eq!((&job["last_result"], &job["requested_at"]), (&json!("succeeded"), &Value::Null));
    assert!(job["forced_at"].is_string());
}
