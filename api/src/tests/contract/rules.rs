//! The field rules of the peer's endpoints (reference, chapter 3) and its sentences, one wrong value at a time.

use crate::testing::{App, Person, task_body};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// What a change of a good body must be told: the field, and its one sentence.
type Case = (Value, &'static str, &'static str);

async fn told(app: &App, ann: &Person, request: (&str, &str), body: &Value, case: &Case) {
    let (change, field, sentence) = case;
    let mut body = body.clone();
    for (key, value) in change.as_object().unwrap() {
        // Absent, where the case says so.
        if value == "(absent)" {
            body.as_object_mut().unwrap().remove(key);
        } else {
            body[key] = value.clone();
        }
    }
    let answer = app.expect(ann, request, body, 422).await;
    assert_eq!(answer["errors"], json!({ (*field): [sentence] }), "{change}");
}

#[tokio::test]
async fn a_task_s_fields_are_judged_by_the_peer_s_rules() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let (server, destination) = app.definitions_once(&ann).await;
    let long = "x".repeat(256);
    let cases: Vec<Case> = vec![
        (json!({"remote_server_id": "(absent)"}), "remote_server_id", "The remote server id field is required."),
        (json!({"remote_server_id": "x"}), "remote_server_id", "The remote server id field must be an integer."),
        (json!({"remote_server_id": 5.5}), "remote_server_id", "The remote server id field must be an integer."),
        (json!({"remote_server_id": "007"}), "remote_server_id", "The remote server id field must be an integer."),
        (
            json!({"backup_destination_id": null}),
            "backup_destination_id",
            "The backup destination id field is required.",
        ),
        (json!({"label": "  "}), "label", "The label field is required."),
        (json!({"label": 5}), "label", "The label field must be a string."),
        (json!({"label": long}), "label", "The label field must not be greater than 255 characters."),
        (json!({"description": true}), "description", "The description field must be a string."),
        (json!({"source_path": ""}), "source_path", "The source path field is required when type is files."),
        (json!({"frequency": "(absent)"}), "frequency", "The frequency field is required."),
        (json!({"frequency": "yearly"}), "frequency", "The selected frequency is invalid."),
        (
            json!({"maximum_backups_to_keep": -1}),
            "maximum_backups_to_keep",
            "The maximum backups to keep field must be at least 0.",
        ),
        (
            json!({"maximum_backups_to_keep": "4.0"}),
            "maximum_backups_to_keep",
            "The maximum backups to keep field must be an integer.",
        ),
        (json!({"type": "Files"}), "type", "The selected type is invalid."),
        (json!({"type": "database"}), "database_name", "The database name field is required when type is database."),
        (json!({"time_to_run_at": "2:00"}), "time_to_run_at", "The time to run at field must match the format H:i."),
        (json!({"time_to_run_at": "24:00"}), "time_to_run_at", "The time to run at field must match the format H:i."),
    ];
    for case in &cases {
        told(&app, &ann, ("POST", "/api/backup-tasks"), &task_body(server, destination), case).await;
    }
    let total = app.expect(&ann, ("GET", "/api/backup-tasks"), Value::Null, 200).await["meta"]["total"].clone();
    assert_eq!(total, 0, "nothing was half-written");
}

#[tokio::test]
async fn an_update_judges_what_is_sent_and_leaves_the_rest() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    let put = async |body: Value| app.expect(&ann, ("PUT", &path), body, 200).await["data"].clone();
    let before = app.expect(&ann, ("GET", &path), Value::Null, 200).await["data"].clone();
    assert_eq!(put(json!({})).await, before, "an empty body changes nothing");
    let without = "The time to run at field is required when custom cron expression is not present.";
    let cases: Vec<Case> = vec![
        (json!({"label": null}), "label", "The label field is required."),
        (json!({"frequency": ""}), "frequency", "The frequency field is required."),
        (json!({"time_to_run_at": null}), "time_to_run_at", without),
        (json!({"remote_server_id": 99}), "remote_server_id", "The selected remote server is invalid."),
    ];
    for case in &cases {
        told(&app, &ann, ("PUT", &path), &json!({}), case).await;
    }
    let task = put(json!({"time_to_run_at": null, "custom_cron_expression": "0 0 * * *"})).await;
    assert_eq!(task["schedule"]["custom_cron"], "0 0 * * *");
    let task = put(json!({"encryption_password": "correct horse battery"})).await;
    assert_eq!(task["has_encryption_password"], true);
    let task = put(json!({"encryption_password": null})).await;
    assert_eq!(task["has_encryption_password"], false);
    let task = put(json!({"description": "", "user_id": 9, "status": "running", "last_run_utc_time": "x"})).await;
    assert_eq!((&task["description"], &task["user_id"], &task["status"]), (&Value::Null, &json!(1), &json!("ready")));
}

#[tokio::test]
async fn servers_and_destinations_are_judged_by_the_peer_s_rules() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let long = "x".repeat(256);
    let server = json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22});
    let cases: Vec<Case> = vec![
        (json!({"label": long}), "label", "The label field must not be greater than 255 characters."),
        (json!({"port": 0}), "port", "The port field must be at least 1."),
        (json!({"port": 65536}), "port", "The port field must not be greater than 65535."),
        (json!({"port": "22.0"}), "port", "The port field must be an integer."),
        (json!({"username": 7}), "username", "The username field must be a string."),
        (
            json!({"database_password": long}),
            "database_password",
            "The database password field must not be greater than 255 characters.",
        ),
    ];
    for case in &cases {
        told(&app, &ann, ("POST", "/api/remote-servers"), &server, case).await;
    }
    for good in [json!(true), json!(5.0), json!("+22"), json!(" 22 ")] {
        let mut body = server.clone();
        body["port"] = good.clone();
        let made = app.expect(&ann, ("POST", "/api/remote-servers"), body, 201).await;
        assert!(made["data"]["connection"]["port"].is_u64(), "{good}: {made}");
        app.expect(&ann, ("DELETE", &format!("/api/remote-servers/{}", made["data"]["id"])), Value::Null, 200).await;
    }
    let s3 = json!({"label": "b", "type": "s3", "s3_access_key": "AK", "s3_secret_key": "SK", "s3_bucket_name": "bk",
        "custom_s3_region": "eu-west-1", "path_style_endpoint": true});
    let flag = "The path style endpoint field must be true or false.";
    let cases: Vec<Case> = vec![
        (json!({"type": "ftp"}), "type", "The selected type is invalid."),
        (json!({"s3_access_key": ""}), "s3_access_key", "The s3 access key field is required when type is s3."),
        (json!({"s3_secret_key": null}), "s3_secret_key", "The s3 secret key field is required when type is s3."),
        (
            json!({"custom_s3_region": ""}),
            "custom_s3_region",
            "The custom s3 region field is required when type is s3.",
        ),
        (json!({"path_style_endpoint": "yes"}), "path_style_endpoint", flag),
        (json!({"path_style_endpoint": null}), "path_style_endpoint", flag),
    ];
    for case in &cases {
        told(&app, &ann, ("POST", "/api/backup-destinations"), &s3, case).await;
    }
}

#[tokio::test]
async fn an_empty_database_password_leaves_the_stored_one_as_a_form_means_it() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let server =
        json!({"label": "s", "ip_address": "10.0.0.1", "username": "root", "port": 22, "database_password": "p"});
    let made = app.expect(&ann, ("POST", "/api/remote-servers"), server, 201).await;
    let path = format!("/api/remote-servers/{}", made["data"]["id"]);
    for (body, is_set) in [
        (json!({"label": "t"}), true),
        (json!({"label": "t", "database_password": ""}), true),
        (json!({"database_password": null}), false),
    ] {
        let changed = app.expect(&ann, ("PUT", &path), body.clone(), 200).await;
        assert_eq!(changed["data"]["connection"]["is_database_password_set"], is_set, "{body}");
    }
}
