//! Starting, watching, cancelling; backups and restores as far as the api goes.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

#[tokio::test]
async fn a_run_is_queued_once_with_its_job_and_another_is_refused_until_it_is_over() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let task = format!("/api/backup-tasks/{}", made.task);
    let run = format!("{task}/run");
    let started = app.expect(&ann, ("POST", &run), Value::Null, 202).await;
    assert_eq!(started["message"], "Backup task initiated successfully.");
    let id = started["data"]["backup_run_id"].as_i64().unwrap();
    let pool = app.database.owner_pool().await.unwrap();
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM apalis.jobs").fetch_one(&pool).await.unwrap();
    assert_eq!(jobs, 1);
    let again = app.expect(&ann, ("POST", &run), Value::Null, 409).await;
    assert_eq!(again["message"], "The backup task is already running.");
    let status = app.expect(&ann, ("GET", &format!("{task}/status")), Value::Null, 200).await;
    assert_eq!(status["data"]["status"], "running");
    let log = app.expect(&ann, ("GET", &format!("{task}/latest-log")), Value::Null, 200).await;
    assert_eq!(log["data"]["status"], "running");
    assert_eq!(log["data"]["finished_at"], Value::Null);
    let cancelled = app.expect(&ann, ("POST", &format!("/api/backup-runs/{id}/cancel")), Value::Null, 200).await;
    assert_eq!(cancelled["data"], json!({"id": id, "status": "cancelled", "process_terminated": true}));
    app.expect(&ann, ("POST", &format!("/api/backup-runs/{id}/cancel")), Value::Null, 409).await;
    let status = app.expect(&ann, ("GET", &format!("{task}/status")), Value::Null, 200).await;
    assert_eq!(status["data"]["status"], "ready");
    app.expect(&ann, ("POST", &run), Value::Null, 202).await;
}

#[tokio::test]
async fn of_two_starts_at_once_one_wins_and_none_fails() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let run = format!("/api/backup-tasks/{}/run", made.task);
    let calls = (0..6).map(|_| app.call(&ann.token, "POST", &run, Value::Null));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(calls).await.iter().map(|a| a.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_paused_task_does_not_start() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_tasks SET paused_at = now()").execute(&pool).await.unwrap();
    let answer = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 409).await;
    assert_eq!(answer["message"], "The backup task is currently paused and cannot be executed.");
}

#[tokio::test]
async fn a_running_run_is_waited_for_when_it_is_cancelled() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let started = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 202).await;
    let id = started["data"]["backup_run_id"].as_i64().unwrap();
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backup_runs SET status = 'running', epoch = 1, attempts = 1").execute(&pool).await.unwrap();
    let path = format!("/api/backup-runs/{id}/cancel");
    let worker = async {
        // What a worker does once it sees the request.
        loop {
            let done = sqlx::query(
                "UPDATE backup_runs SET status = 'cancelled', completed_at = now(), process_terminated = true
                 WHERE cancel_requested_at IS NOT NULL",
            )
            .execute(&pool)
            .await
            .unwrap();
            if done.rows_affected() > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(app.expect(&ann, ("POST", &path), Value::Null, 200), worker);
    assert_eq!(answer["data"]["process_terminated"], true);
}

#[tokio::test]
async fn deleting_a_task_cancels_its_run_and_keeps_its_backups() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (_, backup) = app.backup(&ann, &made).await;
    let task = format!("/api/backup-tasks/{}", made.task);
    let started = app.expect(&ann, ("POST", &format!("{task}/run")), Value::Null, 202).await;
    app.expect(&ann, ("DELETE", &task), json!({"delete_files": "perhaps"}), 422).await;
    app.expect(&ann, ("DELETE", &task), Value::Null, 200).await;
    let run = format!("/api/backup-runs/{}", started["data"]["backup_run_id"]);
    let run = app.expect(&ann, ("GET", &run), Value::Null, 200).await;
    assert_eq!(run["data"]["status"], "cancelled");
    let backup = app.expect(&ann, ("GET", &format!("/api/backups/{backup}")), Value::Null, 200).await;
    assert_eq!(backup["data"]["copies"][0]["verified"], true);
    assert_eq!(backup["data"]["streams"][0]["stored_sha256"], "bb");
}

#[tokio::test]
async fn a_log_is_read_from_any_line_on() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, _) = app.backup(&ann, &made).await;
    let part =
        app.expect(&ann, ("GET", &format!("/api/backup-runs/{run}/log?offset=1&limit=1")), Value::Null, 200).await;
    assert_eq!(part["data"]["lines"][0]["content"], "line 2");
    assert_eq!((&part["data"]["next_offset"], &part["data"]["has_more"]), (&json!(2), &json!(true)));
    let rest = app.expect(&ann, ("GET", &format!("/api/backup-runs/{run}/log?offset=2")), Value::Null, 200).await;
    assert_eq!((&rest["data"]["total_lines"], &rest["data"]["has_more"]), (&json!(3), &json!(false)));
}

#[tokio::test]
async fn runs_and_backups_can_be_filtered() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    app.backup(&ann, &made).await;
    for (query, total) in [
        ("filter[status]=succeeded", 1),
        ("filter[status]=failed", 0),
        ("filter[trigger]=manual", 1),
        ("since=2024-08-07T00:00:00Z", 1),
        ("since=2124-08-07T00:00:00Z", 0),
        ("filter[backup_task_id]=x", 0),
    ] {
        let list = app.expect(&ann, ("GET", &format!("/api/backup-runs?{query}")), Value::Null, 200).await;
        assert_eq!(list["meta"]["total"], total, "{query}");
    }
    for query in ["filter[status]=nonsense", "since=yesterday"] {
        app.expect(&ann, ("GET", &format!("/api/backup-runs?{query}")), Value::Null, 422).await;
    }
}

#[tokio::test]
async fn a_restore_is_checked_queued_and_shown() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (_, backup) = app.backup(&ann, &made).await;
    let path = format!("/api/backups/{backup}/restore");
    let target = json!({"remote_server_id": made.server, "path": "/new//place/"});
    let refused = app.expect(&ann, ("POST", &path), json!({"target": target, "existing": "overwrite"}), 422).await;
    assert!(refused["errors"]["confirm"].is_array(), "{refused}");
    let body =
        json!({"target": target, "existing": "overwrite", "confirm": "10.0.0.1:/new/place", "paths": ["/home/x"]});
    let started = app.expect(&ann, ("POST", &path), body, 202).await;
    let id = started["data"]["id"].as_i64().unwrap();
    let shown = app.expect(&ann, ("GET", &format!("/api/restores/{id}")), Value::Null, 200).await;
    insta::assert_json_snapshot!("restore", shown);
    let cancelled = app.expect(&ann, ("POST", &format!("/api/restores/{id}/cancel")), Value::Null, 200).await;
    assert_eq!(cancelled["data"]["status"], "cancelled");
    for bad in [
        json!({}),
        json!({"target": target, "streams": ["nope"]}),
        json!({"target": {"remote_server_id": made.server, "path": "relative"}}),
        json!({"target": {"remote_server_id": made.server, "path": "/x", "database": "db"}}),
        json!({"target": target, "paths": ["../etc"]}),
        json!({"target": target, "unknown": 1}),
        json!({"target": target, "copy_id": 99}),
    ] {
        app.expect(&ann, ("POST", &path), bad, 422).await;
    }
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backups SET encryption_mode = 'recipients'").execute(&pool).await.unwrap();
    let body = json!({"target": target});
    let own_keys = app.expect(&ann, ("POST", &path), body, 409).await;
    assert_eq!(own_keys["code"], "recipients_only");
}

#[tokio::test]
async fn what_needs_a_worker_says_that_there_is_none() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (_, backup) = app.backup(&ann, &made).await;
    for (method, path) in [
        ("POST", format!("/api/remote-servers/{}/check", made.server)),
        ("POST", format!("/api/backup-destinations/{}/check", made.destination)),
        ("GET", format!("/api/backups/{backup}/files")),
        ("GET", format!("/api/backups/{backup}/download")),
    ] {
        let answer = app.expect(&ann, (method, &path), Value::Null, 503).await;
        assert_eq!(answer["code"], "no_worker", "{path}");
    }
    for query in ["form=zip", "stream=nope"] {
        app.expect(&ann, ("GET", &format!("/api/backups/{backup}/download?{query}")), Value::Null, 422).await;
    }
}

#[tokio::test]
async fn a_log_is_downloaded_whole_as_text_that_nobody_renders() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, _) = app.backup(&ann, &made).await;
    let more = "INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, at, content)
                SELECT $1, $2, n, '2024-08-07T03:06:41Z', '<b>' || n FROM generate_series(4, 1001) n";
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query(more).bind(ann.team_id.0).bind(run).execute(&pool).await.unwrap();
    let answer = app.call(&ann.token, "GET", &format!("/api/backup-runs/{run}/log/download"), Value::Null).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["content-type"].to_str().unwrap()[..10]), (200, "text/plain"));
    let name = format!("attachment; filename=\"backup-run-{run}.log\"");
    assert_eq!(answer.headers["content-disposition"], name.as_str());
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let text = String::from_utf8(answer.bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1000]), (1001, "2024-08-07T03:06:41Z <b>1001"));
    assert!(lines[0].ends_with("Z line 1"), "{}", lines[0]);
}
