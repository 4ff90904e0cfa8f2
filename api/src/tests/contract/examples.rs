//! Every example of page 003: its bodies are sent as they stand there, and its answers must come back value by value.

use super::shape::{assert_has, assert_headers, set_clock};
use crate::testing::{Answer, App, Definitions, Person, task_body};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// The page's person, with its two servers and its destination, at the page's hour.
async fn the_pages_person(app: &App) -> Person {
    set_clock(app, "2024-08-07T00:00:00Z");
    let ann = app.person("ann@example.com", Abilities::All).await;
    for address in ["10.0.0.1", "10.0.0.2"] {
        let server = json!({"label": address, "ip_address": address, "username": "root", "port": 22});
        app.expect(&ann, ("POST", "/api/remote-servers"), server, 201).await;
    }
    app.expect(&ann, ("POST", "/api/backup-destinations"), json!({"label": "d", "type": "local"}), 201).await;
    ann
}

/// The task of the page's list and of its single view.
fn listed() -> Value {
    json!({
        "id": 1, "user_id": 1, "remote_server_id": 2, "backup_destination_id": 1, "label": "Daily Database Backup",
        "description": "Backup of production database",
        "source": {
            "path": "/var/www/html", "type": "database", "database_name": "production_db",
            "excluded_tables": "logs,cache"
        },
        "schedule": {
            "frequency": "daily", "scheduled_utc_time": "01:00", "scheduled_local_time": "21:00", "custom_cron": null
        },
        "storage": {"max_backups": 7, "appended_filename": "daily_backup", "path": "/backups"},
        "notification_streams_count": 2, "status": "ready", "has_isolated_credentials": true,
        "has_encryption_password": false, "last_run_local_time": "2024-08-06 21:00:00",
        "last_run_utc_time": "2024-08-07T01:00:00Z", "paused_at": null, "created_at": "2024-08-07T00:00:00Z",
        "updated_at": "2024-08-07T00:00:00Z"
    })
}

#[tokio::test]
async fn the_page_s_database_task_is_listed_and_shown_as_there() {
    let app = App::start().await;
    let ann = the_pages_person(&app).await;
    let streams = [app.stream(&ann).await, app.stream(&ann).await];
    let body = json!({
        "remote_server_id": 2, "backup_destination_id": 1, "label": "Daily Database Backup",
        "description": "Backup of production database", "source_path": "/var/www/html", "frequency": "daily",
        "maximum_backups_to_keep": 7, "type": "database", "database_name": "production_db",
        "excluded_database_tables": "logs,cache", "appended_file_name": "daily_backup", "store_path": "/backups",
        "time_to_run_at": "01:00", "isolated_username": "backup", "isolated_password": "secret",
        "notification_streams": streams
    });
    app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await;
    let pool = app.database.owner_pool().await.unwrap();
    let ran = "UPDATE backup_tasks SET last_run_at = '2024-08-07T01:00:00Z'";
    sqlx::query(ran).execute(&pool).await.unwrap();
    let list = app.call(&ann.token, "GET", "/api/backup-tasks", Value::Null).await;
    assert_headers(&list);
    let page = "http://example.com/api/backup-tasks";
    let sample = json!({
        "data": [listed()],
        "links": {"first": format!("{page}?page=1"), "last": format!("{page}?page=1"), "prev": null, "next": null},
        "meta": {"current_page": 1, "from": 1, "last_page": 1, "path": page, "per_page": 15, "to": 1, "total": 1}
    });
    assert_eq!(list.status, 200);
    assert_has(&list.json(), &sample);
    let shown = app.call(&ann.token, "GET", "/api/backup-tasks/1", Value::Null).await;
    assert_headers(&shown);
    assert_has(&shown.json(), &json!({"data": listed()}));
}

/// A task of files as the page creates it, and as it is after the page's update.
fn weekly(label: &str, utc: &str, local: &str, updated_at: &str) -> Value {
    json!({"data": {
        "id": 2, "user_id": 1, "remote_server_id": 2, "backup_destination_id": 1, "label": label,
        "description": "Full backup of all files",
        "source": {"path": "/home", "type": "files", "database_name": null, "excluded_tables": null},
        "schedule": {
            "frequency": "weekly", "scheduled_utc_time": utc, "scheduled_local_time": local, "custom_cron": null
        },
        "storage": {"max_backups": 4, "appended_filename": null, "path": "/backups/weekly"},
        "notification_streams_count": 0, "status": "ready", "has_isolated_credentials": false,
        "has_encryption_password": false, "last_run_local_time": null, "last_run_utc_time": null, "paused_at": null,
        "created_at": "2024-08-07T00:00:00Z", "updated_at": updated_at
    }})
}

async fn asked(app: &App, ann: &Person, request: (&str, &str), body: Value, status: u16) -> Answer {
    let answer = app.call(&ann.token, request.0, request.1, body).await;
    assert_eq!(answer.status.as_u16(), status, "{request:?}: {}", String::from_utf8_lossy(&answer.bytes));
    assert_headers(&answer);
    answer
}

#[tokio::test]
async fn the_page_s_task_of_files_is_created_updated_and_deleted_as_there() {
    let app = App::start().await;
    let ann = the_pages_person(&app).await;
    app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(1, 1), 201).await;
    let body = json!({
        "remote_server_id": 2, "backup_destination_id": 1, "label": "Weekly Full Backup",
        "description": "Full backup of all files", "source_path": "/home", "frequency": "weekly",
        "maximum_backups_to_keep": 4, "type": "files", "time_to_run_at": "02:00", "store_path": "/backups/weekly"
    });
    let created = asked(&app, &ann, ("POST", "/api/backup-tasks"), body, 201).await;
    assert_has(&created.json(), &weekly("Weekly Full Backup", "02:00", "22:00", "2024-08-07T00:00:00Z"));
    set_clock(&app, "2024-08-07T01:00:00Z");
    let body = json!({"label": "Updated Weekly Backup", "frequency": "weekly", "time_to_run_at": "03:00"});
    let changed = asked(&app, &ann, ("PUT", "/api/backup-tasks/2"), body, 200).await;
    assert_has(&changed.json(), &weekly("Updated Weekly Backup", "03:00", "23:00", "2024-08-07T01:00:00Z"));
    let deleted = asked(&app, &ann, ("DELETE", "/api/backup-tasks/2"), Value::Null, 200).await;
    assert_eq!(deleted.json(), json!({"message": "Backup task successfully deleted"}));
    let gone = asked(&app, &ann, ("GET", "/api/backup-tasks/2"), Value::Null, 404).await;
    assert_has(&gone.json(), &json!({"error": "Not Found", "message": "Backup task not found"}));
}

#[tokio::test]
async fn the_page_s_run_status_and_log_are_as_there() {
    let app = App::start().await;
    let ann = the_pages_person(&app).await;
    app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(1, 1), 201).await;
    let status = asked(&app, &ann, ("GET", "/api/backup-tasks/1/status"), Value::Null, 200).await;
    assert_eq!(status.json(), json!({"data": {"id": 1, "status": "ready"}}));
    app.backup(&ann, &Definitions { server: 1, destination: 1, task: 1 }).await;
    let pool = app.database.owner_pool().await.unwrap();
    for sql in [
        "UPDATE backup_runs SET created_at = '2024-08-07T01:00:00Z', completed_at = '2024-08-07T02:00:00Z'",
        "DELETE FROM backup_run_lines WHERE line_number > 1",
        "UPDATE backup_run_lines SET content = 'Backup completed successfully'",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let log = asked(&app, &ann, ("GET", "/api/backup-tasks/1/latest-log"), Value::Null, 200).await;
    let sample = json!({"data": {
        "id": 1, "backup_task_id": 1, "output": "Backup completed successfully", "finished_at": "2024-08-07T02:00:00Z",
        "status": "successful", "created_at": "2024-08-07T01:00:00Z"
    }});
    assert_has(&log.json(), &sample);
    let run = asked(&app, &ann, ("POST", "/api/backup-tasks/1/run"), Value::Null, 202).await;
    assert_has(&run.json(), &json!({"message": "Backup task initiated successfully."}));
    let status = asked(&app, &ann, ("GET", "/api/backup-tasks/1/status"), Value::Null, 200).await;
    assert_eq!(status.json(), json!({"data": {"id": 1, "status": "running"}}));
}
