//! The wire samples of the peer's server (reference, chapter 5), with api.md's decisions: times in RFC 3339, a title and
//! a code on every error, one shape for every 422, integer ports, links that keep their query, the digest of an avatar.

use super::shape::{assert_has, assert_headers, error_fields, set_clock};
use crate::testing::{App, Definitions, Person};
use crate::tests::people;
use holdfast_domain::{Abilities, Ability};
use serde_json::{Value, json};

async fn ann_at_the_samples_hour(app: &App) -> Person {
    set_clock(app, "2026-11-20T09:21:41Z");
    app.person("ann@example.com", Abilities::All).await
}

/// A task with the required fields alone.
async fn task(app: &App, ann: &Person) -> (Definitions, Value) {
    let (server, destination) = app.definitions_once(ann).await;
    let body = json!({
        "remote_server_id": server, "backup_destination_id": destination, "label": "T", "source_path": "/var/www",
        "frequency": "daily", "maximum_backups_to_keep": 5, "type": "files", "time_to_run_at": "02:00"
    });
    let made = app.expect(ann, ("POST", "/api/backup-tasks"), body, 201).await;
    let task = made["data"]["id"].as_i64().unwrap();
    (Definitions { server, destination, task }, made)
}

#[tokio::test]
async fn who_may_not_is_told_as_the_peer_tells_it() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    for token in ["", "1|hf_nobody", "nonsense"] {
        let answer = app.call(token, "GET", "/api/user", Value::Null).await;
        assert_eq!(answer.status, 401);
        assert_headers(&answer);
        let expected = json!({"error": "Unauthorized", "message": "Unauthenticated.", "code": "unauthenticated"});
        assert_eq!(answer.json(), expected);
    }
    let weak = app.token(&ann, Abilities::Only(vec![Ability::ManageTags])).await;
    let answer = app.call(&weak, "GET", "/api/backup-tasks", Value::Null).await;
    assert_eq!(answer.status, 403);
    assert_headers(&answer);
    let message = "Access denied due to insufficient permissions. Required token ability scopes: view-backup-tasks";
    assert_eq!(answer.json(), json!({"error": "Forbidden", "message": message, "code": "missing_ability"}));
}

#[tokio::test]
async fn the_user_is_as_in_the_sample() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let answer = app.call(&ann.token, "GET", "/api/user", Value::Null).await;
    assert_headers(&answer);
    let sample = json!({"data": {
        "id": 1,
        "personal_info": {"name": "Ann Mary Lee", "first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"},
        "account_settings": {
            "timezone": "America/New_York", "language": "en", "is_admin": false, "weekly_summary_enabled": false,
            "github_login_enabled": false
        },
        "backup_tasks": {"total": 0, "active": 0, "logs": {"total": 0, "today": 0}},
        "related_entities": {"remote_servers": 0, "backup_destinations": 0, "tags": 0, "notification_streams": 0}
    }});
    let user = answer.json();
    assert_has(&user, &sample);
    let avatar = user["data"]["personal_info"]["avatar_url"].as_str().unwrap();
    assert!(avatar.starts_with("https://www.gravatar.com/avatar/") && avatar.ends_with("?s=200"), "{avatar}");
    let since = user["data"]["timestamps"]["account_created"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(since).is_ok() && since.ends_with('Z'), "{since}");
}

#[tokio::test]
async fn a_task_its_run_and_its_log_are_as_in_the_samples() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let (made, created) = task(&app, &ann).await;
    let sample = json!({"data": {
        "id": 1, "user_id": 1, "remote_server_id": 1, "backup_destination_id": 1, "label": "T", "description": null,
        "source": {"path": "/var/www", "type": "files", "database_name": null, "excluded_tables": null},
        "schedule": {
            "frequency": "daily", "scheduled_utc_time": "02:00", "scheduled_local_time": "21:00", "custom_cron": null
        },
        "storage": {"max_backups": 5, "appended_filename": null, "path": null},
        "notification_streams_count": 0, "status": "ready", "has_encryption_password": false,
        "last_run_local_time": null, "last_run_utc_time": null, "paused_at": null,
        "created_at": "2026-11-20T09:21:41Z", "updated_at": "2026-11-20T09:21:41Z"
    }});
    assert_has(&created, &sample);
    let upcoming = app.expect(&ann, ("GET", "/api/backup-tasks/upcoming"), Value::Null, 200).await;
    let next = json!({
        "backup_task_id": 1, "label": "T", "type": "Files", "next_run": "2026-11-20T21:00:00-05:00",
        "next_run_human": "Friday, 20 November 2026 21:00"
    });
    assert_eq!(upcoming, json!({"data": [next]}), "a bare list, and nothing more in it");
    set_clock(&app, "2026-11-20T09:22:10Z");
    let (run, _) = app.backup(&ann, &made).await;
    app.expect(&ann, ("POST", "/api/backup-tasks/1/pause"), Value::Null, 200).await;
    let after = app.expect(&ann, ("GET", "/api/backup-tasks/1"), Value::Null, 200).await;
    let tail = json!({"data": {
        "last_run_local_time": "2026-11-20 04:22:10", "last_run_utc_time": "2026-11-20T09:22:10Z",
        "paused_at": "2026-11-20T09:22:10Z", "status": "ready"
    }});
    assert_has(&after, &tail);
    let log = app.expect(&ann, ("GET", &format!("/api/backup-task-logs/{run}")), Value::Null, 200).await;
    let sample = json!({
        "id": run, "backup_task_id": 1, "output": "line 1\nline 2\nline 3", "finished_at": "2026-11-20T09:22:12Z",
        "status": "successful", "created_at": "2026-11-20T09:22:10Z"
    });
    assert_has(&log, &json!({"data": sample}));
    app.expect(&ann, ("POST", "/api/backup-tasks/1/resume"), Value::Null, 200).await;
    let started = app.expect(&ann, ("POST", "/api/backup-tasks/1/run"), Value::Null, 202).await;
    assert_has(&started, &json!({"message": "Backup task initiated successfully."}));
    let running = app.expect(&ann, ("GET", "/api/backup-tasks/1/latest-log"), Value::Null, 200).await;
    assert_has(&running, &json!({"data": {"finished_at": null, "status": "running", "output": ""}}));
    let again = app.call(&ann.token, "POST", "/api/backup-tasks/1/run", Value::Null).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["message"], "The backup task is already running.");
}

#[tokio::test]
async fn destinations_are_as_in_the_samples() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let keys = json!({"s3_access_key": "AK", "s3_secret_key": "SK", "s3_bucket_name": "bk"});
    for (kind, human, more, shown) in [
        ("local", "Local", json!({}), json!({})),
        (
            "s3",
            "S3",
            json!({"custom_s3_region": "eu-west-1", "path_style_endpoint": false}),
            json!({"s3_bucket_name": "bk", "path_style_endpoint": false, "s3_region": "eu-west-1"}),
        ),
        (
            "custom_s3",
            "Custom S3",
            json!({"custom_s3_endpoint": "https://minio.example", "path_style_endpoint": true}),
            json!({"s3_bucket_name": "bk", "path_style_endpoint": true, "s3_endpoint": "https://minio.example"}),
        ),
        (
            "digitalocean_spaces",
            "DigitalOcean Spaces",
            json!({"custom_s3_region": "fra1"}),
            json!({"s3_bucket_name": "bk", "path_style_endpoint": false}),
        ),
    ] {
        let mut body = json!({"label": "d", "type": kind});
        for part in [&keys, &more] {
            body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        let made = app.expect(&ann, ("POST", "/api/backup-destinations"), body, 201).await;
        let path = format!("/api/backup-destinations/{}", made["data"]["id"]);
        let read = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
        assert_eq!(made, read, "what was created is what is shown");
        let common = json!({"user_id": 1, "label": "d", "type": kind, "type_human": human,
            "created_at": "2026-11-20T09:21:41Z", "updated_at": "2026-11-20T09:21:41Z"});
        assert_has(&read["data"], &common);
        assert_has(&read["data"], &shown);
        for absent in ["s3_bucket_name", "path_style_endpoint", "s3_endpoint"] {
            let has = read["data"].get(absent).is_some();
            assert_eq!(has, shown.get(absent).is_some(), "{kind}: {absent} is absent, not null");
        }
        assert!(!read.to_string().contains("SK"), "{read}");
    }
    let none = app.call(&ann.token, "POST", "/api/backup-destinations", json!({})).await;
    assert_eq!((none.status.as_u16(), error_fields(&none)), (422, vec!["label".to_owned(), "type".to_owned()]));
}

#[tokio::test]
async fn servers_are_as_in_the_samples() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let body = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": "22"});
    let made = app.expect(&ann, ("POST", "/api/remote-servers"), body.clone(), 201).await;
    let sample = json!({
        "id": 1, "user_id": 1, "label": "s",
        "connection": {"ip_address": "10.0.0.1", "username": "root", "port": 22, "is_database_password_set": false},
        "status": {"connectivity": "unknown", "last_connected_at": null},
        "created_at": "2026-11-20T09:21:41Z", "updated_at": "2026-11-20T09:21:41Z"
    });
    assert_has(&made, &json!({"data": sample}));
    assert_has(&app.expect(&ann, ("GET", "/api/remote-servers/1"), Value::Null, 200).await, &json!({"data": sample}));
    let taken = app.call(&ann.token, "POST", "/api/remote-servers", body.clone()).await;
    let expected = json!({
        "error": "Validation Error", "message": "The given data was invalid.",
        "errors": {"ip_address": ["The ip address has already been taken."]}
    });
    assert_eq!(taken.status, 422);
    assert_has(&taken.json(), &expected);
    let bob = app.person("bob@example.com", Abilities::All).await;
    app.expect(&bob, ("POST", "/api/remote-servers"), body, 201).await;
}

#[tokio::test]
async fn streams_and_tags_are_as_in_the_samples() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let times = json!({"created_at": "2026-11-20T09:21:41Z", "updated_at": "2026-11-20T09:21:41Z"});
    let body = json!({"label": "x", "type": "email", "value": "ann@example.com",
        "notifications": {"on_success": true, "on_failure": false}});
    let made = app.expect(&ann, ("POST", "/api/notification-streams"), body, 201).await;
    let sample = json!({"id": 1, "user_id": 1, "label": "x", "type": "email", "type_human": "Email",
        "notifications": {"on_success": true, "on_failure": false}});
    assert_has(&made["data"], &sample);
    assert_has(&made["data"], &times);
    assert!(made["data"].get("value").is_none(), "{made}");
    let none = app.call(&ann.token, "POST", "/api/notification-streams", json!({})).await;
    let fields = ["label", "type", "value", "notifications", "notifications.on_success", "notifications.on_failure"];
    assert_eq!((none.status.as_u16(), error_fields(&none)), (422, fields.map(str::to_owned).to_vec()));
    let errors = none.json()["errors"].clone();
    assert_eq!(errors["notifications.on_success"], json!(["The notifications.on success field is required."]));
    let events = json!({"label": "x", "type": "email", "value": "ann@example.com", "events": ["failure"]});
    app.expect(&ann, ("POST", "/api/notification-streams"), events, 201).await;
    let tag = app.expect(&ann, ("POST", "/api/tags"), json!({"label": "Prod", "colour": "#f60"}), 201).await;
    let sample = json!({"id": 1, "user_id": 1, "label": "Prod", "description": null, "colour": "#f60"});
    assert_has(&tag["data"], &sample);
    assert_has(&tag["data"], &times);
}

#[tokio::test]
async fn pages_of_a_list_are_as_in_the_samples() {
    let app = App::start().await;
    let ann = ann_at_the_samples_hour(&app).await;
    let empty = app.expect(&ann, ("GET", "/api/tags"), Value::Null, 200).await;
    let page = "http://example.com/api/tags";
    let sample = json!({"from": null, "last_page": 1, "to": null, "total": 0, "current_page": 1, "links": [
        {"url": null, "label": "&laquo; Previous", "active": false},
        {"url": format!("{page}?page=1"), "label": "1", "active": true},
        {"url": null, "label": "Next &raquo;", "active": false}
    ]});
    assert_eq!(empty["data"], json!([]));
    assert_has(&empty["meta"], &sample);
    for label in ["a", "b", "c"] {
        app.tag(&ann, label).await;
    }
    let middle = app.expect(&ann, ("GET", "/api/tags?per_page=1&page=2"), Value::Null, 200).await;
    let at = |n: u32| format!("{page}?per_page=1&page={n}");
    let links = json!({"first": at(1), "last": at(3), "prev": at(1), "next": at(3)});
    let meta = json!({"current_page": 2, "from": 2, "last_page": 3, "path": page, "per_page": 1, "to": 2, "total": 3,
    "links": [
        {"url": at(1), "label": "&laquo; Previous", "active": false}, {"url": at(1), "label": "1", "active": false},
        {"url": at(2), "label": "2", "active": true}, {"url": at(3), "label": "3", "active": false},
        {"url": at(3), "label": "Next &raquo;", "active": false}
    ]});
    assert_eq!((&middle["links"], &middle["meta"]), (&links, &meta), "nothing more and nothing less");
}

#[tokio::test]
async fn the_limit_is_told_in_the_sample_s_headers() {
    let app = App::with_limits(60, 5).await;
    let ann = ann_at_the_samples_hour(&app).await;
    let header = |answer: &crate::testing::Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    for left in (0..60).rev() {
        let answer = app.call(&ann.token, "GET", "/api/user", Value::Null).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "x-ratelimit-limit").as_str()), (200, "60"));
        assert_eq!(header(&answer, "x-ratelimit-remaining"), left.to_string());
    }
    let refused = app.call(&ann.token, "GET", "/api/user", Value::Null).await;
    assert_eq!(refused.status, 429);
    assert_headers(&refused);
    assert_eq!(header(&refused, "x-ratelimit-limit"), "60");
    assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
    let wait: i64 = header(&refused, "retry-after").parse().unwrap();
    let reset: i64 = header(&refused, "x-ratelimit-reset").parse().unwrap();
    assert_eq!((reset, (1..=60).contains(&wait)), (app.now().timestamp() + wait, true));
    assert_eq!(refused.json()["message"], "Too Many Attempts.");
}

#[tokio::test]
async fn a_device_s_wrong_password_is_told_as_in_the_sample() {
    let app = App::start().await;
    people::person(&app, "ann@example.com").await;
    let body = json!({"email": "ann@example.com", "password": "wrong", "device_name": "phone"});
    let answer = people::Browser::at("198.51.100.9").peek(&app, "POST", "/api/sanctum/token", body).await;
    assert_eq!(answer.status, 422);
    assert_headers(&answer);
    let sample = json!({"message": "The given data was invalid.",
        "errors": {"email": ["The provided credentials are incorrect."]}});
    assert_has(&answer.json(), &sample);
}
