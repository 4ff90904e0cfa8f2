//! Copies of the own database, as far as no worker is needed.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[tokio::test]
async fn an_operator_asks_for_one_and_sees_it_in_their_team_alone() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    let wanted = json!({"backup_destination_id": made.destination, "recipients": [RECIPIENT]});
    let queued = app.expect(&ann, ("POST", "/api/system/backups"), wanted, 202).await;
    assert_eq!((&queued["data"]["status"], &queued["data"]["recipients"]), (&json!("queued"), &json!([RECIPIENT])));
    let name = queued["data"]["object_name"].as_str().unwrap();
    assert!(name.starts_with("holdfast_2024") && name.ends_with(".sql.zst.age"), "{name}");
    let path = format!("/api/system/backups/{}", queued["data"]["id"]);
    assert_eq!(app.expect(&ann, ("GET", &path), Value::Null, 200).await["data"], queued["data"]);
    assert_eq!(app.expect(&ann, ("GET", "/api/system/backups"), Value::Null, 200).await["meta"]["total"], 1);
    let pool = app.database.owner_pool().await.unwrap();
    let jobs = "SELECT count(*) FROM apalis.jobs WHERE job_type = 'make_own_backup'";
    assert_eq!(sqlx::query_scalar::<_, i64>(jobs).fetch_one(&pool).await.unwrap(), 1);
    let elsewhere = json!({"label": "b", "type": "s3", "s3_access_key": "AK", "s3_secret_key": "SK",
        "s3_bucket_name": "bucket", "custom_s3_region": "eu-west-1"});
    let destination = format!("/api/backup-destinations/{}", made.destination);
    let refused = app.expect(&ann, ("PUT", &destination), elsewhere, 409).await;
    assert_eq!(refused["code"], "has_backups", "it would not be found again");
    // What is not there yet is neither downloaded nor restored.
    for (method, what) in [("GET", "download"), ("POST", "restore")] {
        let refused = app.expect(&ann, (method, &format!("{path}/{what}")), Value::Null, 409).await;
        assert_eq!(refused["code"], "not_there");
    }

    let eve = app.person("eve@example.com", Abilities::All).await;
    app.make_operator(&eve).await;
    app.expect(&eve, ("GET", &path), Value::Null, 404).await;
    let stolen = json!({"backup_destination_id": made.destination, "recipients": [RECIPIENT]});
    let refused = app.expect(&eve, ("POST", "/api/system/backups"), stolen, 422).await;
    assert!(refused["errors"]["backup_destination_id"].is_array(), "{refused}");
}

#[tokio::test]
async fn a_copy_that_nobody_or_anybody_could_open_is_refused() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    for recipients in [json!(null), json!([]), json!(["age1x"]), json!(["AGE-SECRET-KEY-1QQ"]), json!("all")] {
        let wanted = json!({"backup_destination_id": made.destination, "recipients": recipients});
        let refused = app.expect(&ann, ("POST", "/api/system/backups"), wanted, 422).await;
        let fields: Vec<&String> = refused["errors"].as_object().unwrap().keys().collect();
        assert!(fields.iter().all(|field| field.starts_with("recipients")), "{refused}");
    }
    let more = json!({"backup_destination_id": made.destination, "recipients": [RECIPIENT], "to": "/etc/passwd"});
    app.expect(&ann, ("POST", "/api/system/backups"), more, 422).await;
}

#[tokio::test]
async fn a_restore_of_a_running_installation_is_refused_with_the_commands() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    let pool = app.database.owner_pool().await.unwrap();
    let sql =
        "INSERT INTO own_backups (team_id, backup_destination_id, recipients, object_name, status, size_bytes, sha256)
               VALUES ($1, $2, '{age1}', 'own', 'succeeded', 1, 'abcd') RETURNING id";
    let id: i64 = sqlx::query_scalar(sql).bind(ann.team_id.0).bind(made.destination).fetch_one(&pool).await.unwrap();
    let path = format!("/api/system/backups/{id}/restore");
    let refused = app.expect(&ann, ("POST", &path), Value::Null, 409).await;
    assert_eq!(refused["code"], "restore_offline");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("holdfast admin restore --from") && message.contains("abcd"), "{message}");
    // Without a worker nothing is removed, and nothing is forgotten.
    app.expect(&ann, ("DELETE", &format!("/api/system/backups/{id}")), Value::Null, 503).await;
    app.expect(&ann, ("GET", &format!("/api/system/backups/{id}")), Value::Null, 200).await;
}
