//! Whatever comes in, nothing answers 500 and no answer shows what is inside.

use crate::extract::Need;
use crate::routes::rows;
use crate::testing::{App, task_body};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

fn hostile() -> Vec<Value> {
    let long = "x".repeat(100_000);
    vec![
        json!(null),
        json!(""),
        json!(" "),
        json!("a\u{0}b"),
        json!("\u{202e}gnp.exe"),
        json!("\u{200b}\u{2060}"),
        json!("x'; DROP TABLE users; --"),
        json!("$(touch x)`y`"),
        json!("--checkpoint-action=exec=x"),
        json!("-1"),
        json!("../../etc/passwd"),
        json!("%2e%2e/"),
        json!("a\nb\r\nX: y"),
        json!("é\u{301}🏳️‍🌈"),
        json!("🏳".repeat(256)),
        json!(long),
        json!(0),
        json!(-1),
        json!(1),
        json!(5.5),
        json!(1e300),
        json!(9_223_372_036_854_775_807_i64),
        json!(18_446_744_073_709_551_615_u64),
        json!(2_147_483_648_i64),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!([[1]]),
        json!({"a": {"b": 1}}),
        json!(["a", 1, null]),
        json!("9007199254740993"),
        json!("0x10"),
    ]
}

const SERVER: &[&str] = &[
    "label",
    "ip_address",
    "username",
    "port",
    "database_password",
    "auth_method",
    "password",
    "private_key",
    "host_key",
];
const DESTINATION: &[&str] = &[
    "label",
    "type",
    "s3_access_key",
    "s3_secret_key",
    "s3_bucket_name",
    "custom_s3_region",
    "custom_s3_endpoint",
    "path_style_endpoint",
];
const TASK: &[&str] = &[
    "remote_server_id",
    "backup_destination_id",
    "label",
    "description",
    "source_path",
    "frequency",
    "maximum_backups_to_keep",
    "type",
    "database_name",
    "appended_file_name",
    "store_path",
    "excluded_database_tables",
    "isolated_username",
    "isolated_password",
    "encryption_password",
    "time_to_run_at",
    "custom_cron_expression",
    "timezone",
    "weekday",
    "backup_destination_ids",
    "encryption",
    "source",
    "limits",
    "retention",
    "tags",
    "notification_streams",
    "alias",
];
const STREAM: &[&str] =
    &["label", "type", "value", "additional_value", "notifications", "events", "is_team_wide", "config"];
const SOURCE: &[&str] = &[
    "paths",
    "excludes",
    "one_file_system",
    "sparse",
    "engine",
    "host",
    "port",
    "username",
    "password",
    "databases",
    "excluded_tables",
    "excluded_table_data",
];
const RESTORE: &[&str] = &[
    "target",
    "streams",
    "paths",
    "layout",
    "existing",
    "restore_owners",
    "confirm",
    "copy_id",
    "password",
    "dry_run",
];

/// Fields that a route reads.
fn fields(path: &str) -> &'static [&'static str] {
    match path {
        "/api/remote-servers" | "/api/remote-servers/{id}" => SERVER,
        "/api/remote-servers/{id}/host-key/accept" => &["fingerprint"],
        "/api/backup-destinations" | "/api/backup-destinations/{id}" => DESTINATION,
        "/api/backup-tasks" | "/api/backup-tasks/{id}" => TASK,
        "/api/backup-tasks/{id}/run" => &["backup_destination_ids"],
        "/api/backup-tasks/{id}/duplicate" => &["label"],
        "/api/backup-tasks/{id}/pause" | "/api/backup-tasks/{id}/resume" | "/api/backup-tasks/{id}/webhook" => {
            &["label"]
        }
        "/api/notification-streams/{id}/confirmation" => &[],
        "/confirm-stream" => &["token"],
        "/api/notification-streams" | "/api/notification-streams/{id}" => STREAM,
        "/api/notification-settings" => &["quiet_until"],
        "/api/deliveries/{id}/resend" => &["label"],
        "/api/tags" | "/api/tags/{id}" => &["label", "description", "colour"],
        "/api/backup-tasks/{id}/prune" => &["older_than_secs", "dry_run"],
        "/api/backups/{id}" => &["held", "recycled", "confirm"],
        "/api/backups/{id}/copies" => &["backup_destination_ids"],
        "/api/backups/{id}/restore" => RESTORE,
        "/api/system/backups" => &["backup_destination_id", "recipients"],
        "/api/system/backups/{id}/restore" | "/webhooks/backup-tasks/{id}/run" => &[],
        "/api/system/users" => &["name", "email", "password", "timezone", "is_operator"],
        "/api/system/users/{id}/suspend" => &["reason", "until", "note"],
        "/api/system/users/{id}/unsuspend" => &["note"],
        "/api/system/teams/{id}/limits" => &["members", "tokens", "min_interval_secs"],
        "/api/user" => &["name", "timezone", "language", "page_size"],
        "/api/auth/register" => &["name", "email", "password", "timezone"],
        "/api/auth/verify-email" | "/api/auth/reset-password" => &["token", "password"],
        "/api/auth/verify-email/resend" | "/api/auth/forgot-password" => &["email"],
        "/api/auth/login" => &["email", "password"],
        "/api/auth/two-factor" | "/api/user/two-factor/confirm" => &["code"],
        "/api/auth/confirm-password" => &["password", "code"],
        "/api/tokens" => &["name", "abilities", "expires_in_days"],
        "/api/sanctum/token" => &["email", "password", "device_name", "code", "two_factor_code"],
        "/api/user/password" => &["current_password", "password"],
        "/api/user/email" => &["email", "code"],
        "/api/user/email/confirm" => &["token"],
        "/api/user/two-factor" | "/api/user/two-factor/recovery-codes" => &[],
        other => panic!("{other}: say here which fields it reads"),
    }
}

#[tokio::test]
async fn no_field_of_any_route_makes_a_500() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (_, backup) = app.backup(&ann, &made).await;
    let session = app.session(&ann).await;
    let (tag, stream) = (app.tag(&ann, "t").await, app.stream(&ann).await);
    let values = hostile();
    for row in rows().into_iter().filter(|row| matches!(row.method.as_str(), "POST" | "PUT" | "PATCH")) {
        let skipped = ["/test", "/check", "/cancel", "/setup", "/logout"];
        if skipped.iter().any(|end| row.path.ends_with(end)) {
            continue;
        }
        let (id, base) = match row.path.split('/').nth(2) {
            Some("remote-servers") => {
                (made.server, json!({"label": "s", "ip_address": "10.9.9.9", "username": "root", "port": 22}))
            }
            Some("backup-destinations") => (made.destination, json!({"label": "d", "type": "custom_s3"})),
            Some("notification-streams") => (
                stream,
                json!({"label": "n", "type": "email", "value": "a@example.com", "notifications": {"on_failure": true}}),
            ),
            Some("tags") => (tag, json!({"label": "t"})),
            Some("backups") => (backup, json!({"target": {"remote_server_id": made.server, "path": "/n"}})),
            Some("tokens") => (0, json!({"name": "t", "abilities": ["*"]})),
            Some("auth" | "user" | "sanctum") => (0, json!({})),
            _ => (made.task, task_body(made.server, made.destination)),
        };
        let is_browsed = row.need == Need::Session || row.need.is_open();
        let path = row.path.replace("{id}", &id.to_string());
        for field in fields(&row.path) {
            for value in &values {
                let mut body = base.clone();
                body[*field] = value.clone();
                let answer = match is_browsed {
                    true => app.browse(&session, &row.method, &path, body).await,
                    false => app.call(&ann.token, &row.method, &path, body).await,
                };
                let text = String::from_utf8_lossy(&answer.bytes);
                assert!(answer.status.as_u16() < 500, "{} {path} {field}={value:.60}: {text}", row.method);
                for inside in ["panicked", "src/", "sqlx", "SQLSTATE", "sea_orm", "postgres"] {
                    assert!(!text.contains(inside), "{} {path} {field}: {text}", row.method);
                }
            }
        }
    }
}

#[tokio::test]
async fn nested_fields_are_judged_too() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let nested: [(&str, &[&str]); 4] = [
        ("source", SOURCE),
        ("encryption", &["mode", "recipients"]),
        ("limits", &["max_duration_secs"]),
        ("retention", &["keep_last", "max_age_secs", "floor", "recycle_secs"]),
    ];
    for (outer, inners) in nested {
        for inner in inners {
            for value in hostile() {
                let answer = app.call(&ann.token, "PUT", &path, json!({outer: {*inner: value}, "type": "files"})).await;
                assert!(answer.status.as_u16() < 500, "{outer}.{inner}: {}", String::from_utf8_lossy(&answer.bytes));
            }
        }
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_told_so() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deeper = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for (kind, body, status) in [
        ("application/json", "{\"a\":".to_owned(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "null".to_owned(), 400),
        ("application/json", "{\"a\": \"\\ud800\"}".to_owned(), 400),
        ("application/json", format!("{{\"a\": {deep}}}"), 400),
        ("application/json", deeper, 400),
        ("application/json", format!("{{\"label\": \"{}\"}}", "x".repeat(1 << 20)), 413),
        ("text/plain", "{\"label\": \"x\"}".to_owned(), 415),
        ("application/xml", "<a/>".to_owned(), 415),
        ("multipart/form-data; boundary=x", "nonsense".to_owned(), 400),
        ("multipart/form-data", "nonsense".to_owned(), 415),
        ("application/json", String::new(), 422),
    ] {
        let request = Request::post("/api/remote-servers")
            .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.clone()))
            .unwrap();
        let answer = app.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} {body:.40}: {}", String::from_utf8_lossy(&answer.bytes));
        assert!(answer.json()["code"].is_string());
    }
    let lies = Request::post("/api/remote-servers")
        .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
        .header(header::CONTENT_LENGTH, "1000000000000")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(lies).await.status, 413, "refused before it is read");
}

#[tokio::test]
async fn fields_nobody_may_write_change_nothing() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let before = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    let body = json!({"id": 77, "user_id": 77, "team_id": 77, "status": "running", "paused_at": "2024-01-01T00:00:00Z",
                      "last_run_at": "2024-01-01T00:00:00Z", "seal_id": "x", "deleted_at": "2024-01-01T00:00:00Z"});
    let after = app.expect(&ann, ("PUT", &path), body, 200).await;
    assert_eq!(after, before);
}
