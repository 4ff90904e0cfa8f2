//! Runs as page 003 knows them.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

#[tokio::test]
async fn a_log_is_the_run_in_the_pages_words() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, _) = app.backup(&ann, &made).await;
    let path = format!("/api/backup-task-logs/{run}");
    let expected = json!({
        "id": run, "backup_task_id": made.task, "output": "line 1\nline 2\nline 3", "finished_at": "2024-08-07T03:06:42Z",
        "status": "successful", "created_at": "2024-08-07T03:06:40Z", "result": "succeeded", "output_truncated": false
    });
    assert_eq!(app.expect(&ann, ("GET", &path), Value::Null, 200).await, json!({"data": expected}));
    let latest = format!("/api/backup-tasks/{}/latest-log", made.task);
    assert_eq!(app.expect(&ann, ("GET", &latest), Value::Null, 200).await, json!({"data": expected}));
    let list = app.expect(&ann, ("GET", "/api/backup-task-logs"), Value::Null, 200).await;
    assert_eq!(list["data"], json!([expected]));
    let pool = app.database.owner_pool().await.unwrap();
    for (state, word) in [
        ("queued", "running"),
        ("running", "running"),
        ("verifying", "running"),
        ("succeeded_with_warnings", "successful"),
        ("partial", "failed"),
        ("failed", "failed"),
        ("cancelled", "failed"),
        ("missed", "failed"),
    ] {
        sqlx::query("UPDATE backup_runs SET status = $1").bind(state).execute(&pool).await.unwrap();
        let log = app.expect(&ann, ("GET", &path), Value::Null, 200).await["data"].clone();
        assert_eq!((&log["status"], &log["result"]), (&json!(word), &json!(state)));
        for filter in ["running", "successful", "failed"] {
            let list = format!("/api/backup-task-logs?filter[status]={filter}&filter[backup_task_id]={}", made.task);
            let total = app.expect(&ann, ("GET", &list), Value::Null, 200).await["meta"]["total"].clone();
            assert_eq!(total, u64::from(filter == word), "{state} {filter}");
        }
    }
    sqlx::query("UPDATE backup_runs SET status = 'skipped'").execute(&pool).await.unwrap();
    app.expect(&ann, ("GET", &path), Value::Null, 404).await;
    for (query, total) in [("search=FULL", 0), ("filter[status]=failed", 0)] {
        let list = app.expect(&ann, ("GET", &format!("/api/backup-task-logs?{query}")), Value::Null, 200).await;
        assert_eq!(list["meta"]["total"], total);
    }
    app.expect(&ann, ("GET", "/api/backup-task-logs?filter[status]=partial"), Value::Null, 422).await;
}

#[tokio::test]
async fn a_long_log_is_cut_at_its_beginning_and_says_so() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, _) = app.backup(&ann, &made).await;
    let pool = app.database.owner_pool().await.unwrap();
    let more = "INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, content)
                SELECT $1, $2, n, rpad(n || ' ', 500, 'é') FROM generate_series(4, 2000) n";
    sqlx::query(more).bind(ann.team_id.0).bind(run).execute(&pool).await.unwrap();
    for (path, pointer, most) in [
        (format!("/api/backup-task-logs/{run}"), "/data", 262_144),
        ("/api/backup-task-logs".to_owned(), "/data/0", 8_192),
    ] {
        let answer = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
        let log = answer.pointer(pointer).unwrap();
        let output = log["output"].as_str().unwrap();
        assert_eq!(log["output_truncated"], true);
        assert!(output.chars().count() <= most && output.chars().count() > most - 600, "{}", output.chars().count());
        assert!(output.rsplit('\n').next().unwrap().starts_with("2000 "), "its end is there");
    }
}

#[tokio::test]
async fn deleting_a_log_takes_its_lines_and_nothing_of_the_backup() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, backup) = app.backup(&ann, &made).await;
    let run_path = format!("/api/backup-tasks/{}/run", made.task);
    let active = app.expect(&ann, ("POST", &run_path), Value::Null, 202).await["data"]["backup_run_id"].clone();
    let refused = app.expect(&ann, ("DELETE", &format!("/api/backup-task-logs/{active}")), Value::Null, 409).await;
    assert_eq!(refused["code"], "run_unfinished");
    let backup_path = format!("/api/backups/{backup}");
    let before = app.expect(&ann, ("GET", &backup_path), Value::Null, 200).await;
    let path = format!("/api/backup-task-logs/{run}");
    let gone = app.expect(&ann, ("DELETE", &path), Value::Null, 200).await;
    assert_eq!(gone, json!({"message": "Backup task log successfully deleted"}));
    let absent = app.expect(&ann, ("DELETE", &path), Value::Null, 404).await;
    assert_eq!(absent["message"], "Backup task log not found");
    app.expect(&ann, ("GET", &path), Value::Null, 404).await;
    let list = app.expect(&ann, ("GET", "/api/backup-task-logs"), Value::Null, 200).await;
    assert_eq!((&list["meta"]["total"], &list["data"][0]["id"]), (&json!(1), &active));
    assert_eq!(app.expect(&ann, ("GET", &backup_path), Value::Null, 200).await, before);
    let kept = app.expect(&ann, ("GET", &format!("/api/backup-runs/{run}")), Value::Null, 200).await;
    assert_eq!((&kept["data"]["status"], &kept["data"]["has_logs"]), (&json!("succeeded"), &json!(false)));
    let user = app.expect(&ann, ("GET", "/api/user"), Value::Null, 200).await;
    assert_eq!(user["data"]["backup_tasks"]["logs"], json!({"total": 0, "today": 0}));
    // A retention rule that comes by later has nowhere to write to.
    let access = holdfast_store::Access::system(ann.team_id, "test");
    let tx = app.store.for_team(&access).await.unwrap();
    tx.append_run_lines(holdfast_domain::ids::BackupRunId(run), 0, &["late".to_owned()]).await.unwrap();
    tx.commit().await.unwrap();
    let log = app.expect(&ann, ("GET", &format!("/api/backup-runs/{run}/log")), Value::Null, 200).await;
    assert_eq!(log["data"]["total_lines"], 0);
}
