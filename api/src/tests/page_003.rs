//! The shapes of page 003 and of the peer's wire samples, adjusted by api.md.

use crate::testing::{App, task_body};
use axum::body::Body;
use axum::http::{Request, header};
use holdfast_domain::Abilities;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

/// It follows the database's clock, which no test sets.
fn hide_expectation(task: &mut Value) {
    assert!(task["next_success_expected_by"].is_string(), "{task}");
    task["next_success_expected_by"] = json!("later");
}

#[tokio::test]
async fn the_example_of_the_page_creates_shows_and_lists_a_task() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let mut shown = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    hide_expectation(&mut shown["data"]);
    assert_json_snapshot!("task", shown);
    let mut listed = app.expect(&ann, ("GET", "/api/backup-tasks"), Value::Null, 200).await;
    hide_expectation(&mut listed["data"][0]);
    assert_json_snapshot!("task_list", listed);
    let change = json!({"label": "Updated Weekly Backup", "frequency": "weekly", "time_to_run_at": "03:00"});
    let changed = app.expect(&ann, ("PUT", &path), change, 200).await;
    assert_eq!(changed["data"]["schedule"]["scheduled_utc_time"], "03:00");
    assert_eq!(changed["data"]["schedule"]["scheduled_local_time"], "23:00");
    assert_eq!(changed["data"]["storage"]["max_backups"], 4, "what was not sent stays");
    assert_json_snapshot!("status", app.expect(&ann, ("GET", &format!("{path}/status")), Value::Null, 200).await);
    let none = app.expect(&ann, ("GET", &format!("{path}/latest-log")), Value::Null, 404).await;
    assert_eq!(none["message"], "No logs found for this backup task.");
    let deleted = app.expect(&ann, ("DELETE", &path), Value::Null, 200).await;
    assert_eq!(deleted, json!({"message": "Backup task successfully deleted"}));
    let gone = app.expect(&ann, ("GET", &path), Value::Null, 404).await;
    assert_eq!(gone, json!({"error": "Not Found", "message": "Backup task not found", "code": "not_found"}));
}

#[tokio::test]
async fn a_run_and_its_log_look_as_the_page_says() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (run, _) = app.backup(&ann, &made).await;
    let log = app.expect(&ann, ("GET", &format!("/api/backup-tasks/{}/latest-log", made.task)), Value::Null, 200).await;
    assert_json_snapshot!("latest_log", log);
    let shown = app.expect(&ann, ("GET", &format!("/api/backup-runs/{run}")), Value::Null, 200).await;
    assert_json_snapshot!("run", shown);
    let task = app.expect(&ann, ("GET", &format!("/api/backup-tasks/{}", made.task)), Value::Null, 200).await;
    assert_eq!(task["data"]["last_run_utc_time"], "2024-08-07T03:06:40Z");
    assert_eq!(task["data"]["last_run_local_time"], "2024-08-06 23:06:40");
}

#[tokio::test]
async fn an_empty_body_gets_all_errors_of_the_sample_in_its_order() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for (path, name) in [
        ("/api/backup-tasks", "empty_task"),
        ("/api/remote-servers", "empty_server"),
        ("/api/backup-destinations", "empty_destination"),
    ] {
        let answer = app.call(&ann.token, "POST", path, json!({})).await;
        assert_eq!(answer.status, 422);
        // As text: a snapshot of values would not show the order of the fields.
        insta::assert_snapshot!(name, String::from_utf8(answer.bytes).unwrap());
    }
}

#[tokio::test]
async fn foreign_references_are_told_together_and_last() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let answer = app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(99, 99), 422).await;
    let expected = json!({
        "remote_server_id": ["The selected remote server is invalid."],
        "backup_destination_id": ["The selected backup destination is invalid."]
    });
    assert_eq!(answer["errors"], expected);
}

#[tokio::test]
async fn servers_destinations_and_the_user_have_the_peers_shapes() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let server = app.expect(&ann, ("GET", &format!("/api/remote-servers/{}", made.server)), Value::Null, 200).await;
    assert_json_snapshot!("server", server);
    let local = format!("/api/backup-destinations/{}", made.destination);
    assert_json_snapshot!("destination_local", app.expect(&ann, ("GET", &local), Value::Null, 200).await);
    let s3 = json!({"label": "b", "type": "s3", "s3_access_key": "AK", "s3_secret_key": "SK", "s3_bucket_name": "bk",
                    "custom_s3_region": "eu-west-1", "path_style_endpoint": false});
    assert_json_snapshot!("destination_s3", app.expect(&ann, ("POST", "/api/backup-destinations"), s3, 201).await);
    let custom = json!({"label": "c", "type": "custom_s3", "s3_access_key": "AK", "s3_secret_key": "SK",
                        "s3_bucket_name": "bk", "custom_s3_endpoint": "https://minio.example:9000", "path_style_endpoint": "1"});
    assert_json_snapshot!(
        "destination_custom",
        app.expect(&ann, ("POST", "/api/backup-destinations"), custom, 201).await
    );
    let user = app.expect(&ann, ("GET", "/api/user"), Value::Null, 200).await;
    assert_json_snapshot!("user", user, {".data.timestamps.account_created" => "[time]"});
    let key = app.expect(&ann, ("GET", "/api/ssh-key"), Value::Null, 200).await;
    let public = key["public_key"].as_str().unwrap();
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with('\n'));
    assert_eq!(key["authorized_keys_line"], format!("restrict {}", public.trim()));
}

#[tokio::test]
async fn a_list_pages_as_the_peers_does() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    for label in ["a", "b%", "c"] {
        let body = json!({"label": label, "type": "local"});
        app.expect(&ann, ("POST", "/api/backup-destinations"), body, 201).await;
    }
    let page = app.expect(&ann, ("GET", "/api/backup-destinations?per_page=1&page=2"), Value::Null, 200).await;
    assert_json_snapshot!("list_page", json!({"links": page["links"], "meta": page["meta"]}));
    assert_eq!(page["data"][0]["label"], "b%");
    let beyond = app.expect(&ann, ("GET", "/api/backup-destinations?page=9"), Value::Null, 200).await;
    assert_eq!((&beyond["data"], &beyond["meta"]["from"]), (&json!([]), &Value::Null));
    let newest = app.expect(&ann, ("GET", "/api/backup-destinations?sort=-created_at"), Value::Null, 200).await;
    assert_eq!(newest["data"][0]["label"], "c");
    let found = app.expect(&ann, ("GET", "/api/backup-destinations?search=%25"), Value::Null, 200).await;
    assert_eq!(found["meta"]["total"], 1, "a percent sign is a character, not a pattern");
    for (query, per_page) in [
        ("per_page=0", 15),
        ("per_page=-5", 15),
        ("per_page=x", 15),
        ("per_page=100000", 100),
        ("per_page[]=3", 15),
        ("page=99999999999999999999", 15),
        ("page=9223372036854775807", 15),
    ] {
        let list = app.expect(&ann, ("GET", &format!("/api/backup-destinations?{query}")), Value::Null, 200).await;
        assert_eq!(list["meta"]["per_page"], per_page, "{query}");
    }
}

#[tokio::test]
async fn forms_are_taken_even_when_they_are_labelled_as_json() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let form = "label=a+b&ip_address=web.example.com&username=root&port=2";
    for (number, kind) in ["application/x-www-form-urlencoded", "application/json"].into_iter().enumerate() {
        let request = Request::post("/api/remote-servers")
            .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(format!("{form}{number}")))
            .unwrap();
        let answer = app.send(request).await;
        assert_eq!(answer.status, 201, "{kind}: {}", String::from_utf8_lossy(&answer.bytes));
        assert_eq!(answer.json()["data"]["connection"]["port"], 20 + number);
    }
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"label\"\r\n\r\nm\r\n--x\r\nContent-Disposition: \
                     form-data; name=\"type\"\r\n\r\nlocal\r\n--x--\r\n";
    let request = Request::post("/api/backup-destinations")
        .header(header::AUTHORIZATION, format!("Bearer {}", ann.token))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x")
        .body(Body::from(multipart))
        .unwrap();
    assert_eq!(app.send(request).await.status, 201);
}

#[tokio::test]
async fn the_long_form_of_a_source_round_trips() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let odd = "/srv/a b/$(touch x)/`y`/'q\"/-rf/--checkpoint-action=exec=x/line\nbreak/\u{202e}rtl";
    let body = json!({
        "remote_server_id": made.server, "backup_destination_ids": [made.destination], "label": "long",
        "frequency": "manual", "maximum_backups_to_keep": "0", "type": "files", "isolated_username": "backup",
        "isolated_password": " spaced ", "timezone": "Europe/Berlin",
        "source": {"paths": ["/etc", odd], "excludes": ["*.tmp", "/etc/cache"], "one_file_system": false},
        "encryption": {"mode": "recipients", "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}
    });
    let task = app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await;
    assert_eq!(task["data"]["source"]["paths"], json!(["/etc", odd]));
    assert_eq!(task["data"]["source"]["excludes"], json!(["*.tmp", "/etc/cache"]));
    assert_eq!(task["data"]["source"]["one_file_system"], false);
    assert_eq!(task["data"]["has_isolated_credentials"], true);
    assert_eq!(task["data"]["encryption"]["mode"], "recipients");
    assert_eq!(task["data"]["schedule"]["next_run_at"], Value::Null);
}

#[tokio::test]
async fn the_person_can_change_themselves_within_bounds() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let user =
        app.expect(&ann, ("PATCH", "/api/user"), json!({"timezone": "Europe/Berlin", "language": "de"}), 200).await;
    assert_eq!(user["data"]["account_settings"]["timezone"], "Europe/Berlin");
    assert_eq!(user["data"]["personal_info"]["name"], "Ann Mary Lee");
    for bad in [
        json!({"timezone": "Mars/Base"}),
        json!({"language": "xx"}),
        json!({"name": ""}),
        json!({"email": "new@example.com"}),
        json!({"is_admin": true}),
    ] {
        app.expect(&ann, ("PATCH", "/api/user"), bad, 422).await;
    }
}
