//! The address of a task's dead man's switch: written, and never read again.

use crate::testing::{App, task_body};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const URL: &str = "https://hc-ping.com/3c8f9f2e-aaaa-4000-8000-000000000000";

#[tokio::test]
async fn a_ping_address_is_sealed_kept_cleared_and_never_shown() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions_once(&ann).await;
    let mut body = task_body(made.0, made.1);
    body["ping_url"] = json!(URL);
    let task = app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await;
    assert_eq!(task["data"]["is_ping_url_set"], true);
    let id = task["data"]["id"].as_i64().unwrap();
    let path = format!("/api/backup-tasks/{id}");

    let changed = app.expect(&ann, ("PUT", &path), json!({"label": "other"}), 200).await;
    assert_eq!(changed["data"]["is_ping_url_set"], true, "absent is unchanged");
    let copy = app.expect(&ann, ("POST", &format!("{path}/duplicate")), Value::Null, 201).await;
    assert_eq!(copy["data"]["is_ping_url_set"], false, "a switch is one task's");
    for seen in ["/api/backup-tasks?per_page=100", "/api/audit-events?per_page=100", path.as_str()] {
        let text = app.expect(&ann, ("GET", seen), Value::Null, 200).await.to_string();
        assert!(!text.contains("hc-ping"), "{seen}: {text}");
    }
    let pool = app.database.owner_pool().await.unwrap();
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_ping_url FROM backup_tasks WHERE id = $1")
        .bind(id)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(!sealed.windows(7).any(|bytes| bytes == b"hc-ping"));
    let cleared = app.expect(&ann, ("PUT", &path), json!({"ping_url": null}), 200).await;
    assert_eq!(cleared["data"]["is_ping_url_set"], false);
    for wrong in
        ["http://hc-ping.com/x", "https://u:p@hc-ping.com/x", "hc-ping.com", "https://127.1/", "file:///etc/passwd"]
    {
        app.expect(&ann, ("PUT", &path), json!({"ping_url": wrong}), 422).await;
    }
    let long = format!("https://hc-ping.com/{}", "a".repeat(2048));
    app.expect(&ann, ("PUT", &path), json!({"ping_url": long}), 422).await;
}
