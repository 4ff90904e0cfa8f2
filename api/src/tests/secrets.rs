//! Secrets are write-only, sealed for one place, and bound to the peer they were given for.

use crate::testing::App;
use holdfast_domain::Abilities;
use holdfast_vault::{SealContext, SealedColumn};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

#[tokio::test]
async fn what_was_sealed_opens_for_its_row_and_is_never_shown() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let body = json!({"label": "s", "ip_address": "h.example", "username": "u", "port": 22, "auth_method": "password",
                      "password": " CANARY-ssh ", "database_password": "CANARY-db", "host_key": HOST_KEY});
    let answer = app.call(&ann.token, "POST", "/api/remote-servers", body).await;
    assert_eq!(answer.status, 201);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("CANARY"));
    assert_eq!(answer.json()["data"]["connection"]["is_database_password_set"], true);
    let pool = app.database.owner_pool().await.unwrap();
    let (seal_id, sealed): (uuid::Uuid, Vec<u8>) =
        sqlx::query_as("SELECT seal_id, sealed_password FROM remote_servers").fetch_one(&pool).await.unwrap();
    let place = SealContext::new(ann.team_id, SealedColumn::ServerPassword, seal_id);
    assert_eq!(app.opener.open_text(&place, &sealed).unwrap().expose_secret(), " CANARY-ssh ");
    let dump: Vec<String> =
        sqlx::query_scalar("SELECT t::text FROM remote_servers t UNION ALL SELECT t::text FROM audit_events t")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert!(!dump.join("\n").contains("CANARY"));
}

#[tokio::test]
async fn another_peer_needs_every_secret_again_and_loses_the_pin() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let body = json!({"label": "s", "ip_address": "h.example", "username": "u", "port": 22, "auth_method": "password",
                      "password": "one", "database_password": "two", "host_key": HOST_KEY});
    let id = app.expect(&ann, ("POST", "/api/remote-servers"), body, 201).await["data"]["id"].clone();
    let path = format!("/api/remote-servers/{id}");
    for change in [json!({"ip_address": "evil.example"}), json!({"port": 2222}), json!({"username": "other"})] {
        let refused = app.expect(&ann, ("PUT", &path), change.clone(), 422).await;
        assert!(
            refused["errors"]["password"].is_array() && refused["errors"]["database_password"].is_array(),
            "{refused}"
        );
    }
    let unchanged = app.expect(&ann, ("PUT", &path), json!({"label": "t", "ip_address": "H.example."}), 200).await;
    assert!(unchanged["data"]["host_key"].is_object(), "the same host in another spelling keeps its pin");
    let moved = json!({"ip_address": "new.example", "password": "one", "database_password": null});
    let moved = app.expect(&ann, ("PUT", &path), moved, 200).await;
    assert_eq!(moved["data"]["host_key"], Value::Null);
    assert_eq!(moved["data"]["connection"]["is_database_password_set"], false);
}

#[tokio::test]
async fn keys_of_an_object_store_do_not_follow_its_endpoint() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let body = json!({"label": "c", "type": "custom_s3", "s3_access_key": "CANARY-a", "s3_secret_key": "CANARY-s",
                      "s3_bucket_name": "bk", "custom_s3_endpoint": "https://minio.example", "path_style_endpoint": true});
    let made = app.call(&ann.token, "POST", "/api/backup-destinations", body).await;
    assert!(!String::from_utf8_lossy(&made.bytes).contains("CANARY"));
    let path = format!("/api/backup-destinations/{}", made.json()["data"]["id"]);
    for change in [
        json!({"custom_s3_endpoint": "https://evil.example"}),
        json!({"s3_bucket_name": "other"}),
        json!({"type": "s3", "custom_s3_region": "eu-west-1"}),
    ] {
        let refused = app.expect(&ann, ("PUT", &path), change, 422).await;
        assert!(refused["errors"]["s3_secret_key"].is_array(), "{refused}");
    }
    app.expect(&ann, ("PUT", &path), json!({"label": "renamed"}), 200).await;
}

#[tokio::test]
async fn a_tasks_own_passwords_do_not_follow_it_to_another_server() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let other = json!({"label": "o", "ip_address": "evil.example", "username": "root", "port": 22});
    let other = app.expect(&ann, ("POST", "/api/remote-servers"), other, 201).await["data"]["id"].clone();
    let path = format!("/api/backup-tasks/{}", made.task);
    let secrets = json!({"isolated_username": "backup", "isolated_password": "pw", "type": "database",
                         "source": {"databases": "all", "host": "db", "username": "dump", "password": "dbpw"}});
    let task = app.expect(&ann, ("PUT", &path), secrets, 200).await;
    assert_eq!(task["data"]["source"]["has_password"], true);
    let moved = app.expect(&ann, ("PUT", &path), json!({"remote_server_id": other}), 422).await;
    assert!(
        moved["errors"]["isolated_password"].is_array() && moved["errors"]["source.password"].is_array(),
        "{moved}"
    );
    let peer = app.expect(&ann, ("PUT", &path), json!({"source": {"host": "evil"}}), 422).await;
    assert!(peer["errors"]["source.password"].is_array(), "{peer}");
    app.expect(&ann, ("PUT", &path), json!({"isolated_username": "root"}), 422).await;
    let server = format!("/api/remote-servers/{}", made.server);
    let moved = app.expect(&ann, ("PUT", &server), json!({"ip_address": "evil2.example"}), 422).await;
    assert!(moved["errors"]["ip_address"].is_array(), "{moved}");
    app.expect(&ann, ("PUT", &path), json!({"source": {"host": "db2", "password": "dbpw"}}), 200).await;
}

#[tokio::test]
async fn encryption_modes_fit_together() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backup-tasks/{}", made.task);
    for bad in [
        json!({"encryption_password": "short"}),
        json!({"encryption": {"mode": "password"}}),
        json!({"encryption": {"mode": "recipients"}}),
        json!({"encryption": {"mode": "recipients", "recipients": ["age1nonsense"]}}),
        json!({"encryption": {"mode": "none"}, "encryption_password": "long enough for anybody"}),
        json!({"encryption": {"mode": "rot13"}}),
    ] {
        app.expect(&ann, ("PUT", &path), bad, 422).await;
    }
    let task = app.expect(&ann, ("PUT", &path), json!({"encryption_password": "long enough for anybody"}), 200).await;
    assert_eq!(
        (&task["data"]["has_encryption_password"], &task["data"]["encryption"]["mode"]),
        (&json!(true), &json!("password"))
    );
    let same = app.expect(&ann, ("PUT", &path), json!({}), 200).await;
    assert_eq!(same["data"]["has_encryption_password"], true);
    let cleared = app.expect(&ann, ("PUT", &path), json!({"encryption_password": null}), 200).await;
    assert_eq!(
        (&cleared["data"]["has_encryption_password"], &cleared["data"]["encryption"]["mode"]),
        (&json!(false), &json!("managed"))
    );
}

#[tokio::test]
async fn a_host_key_is_pinned_only_by_the_fingerprint_that_was_compared() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/remote-servers/{}/host-key", made.server);
    let accept = format!("{path}/accept");
    let good = json!({"fingerprint": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"});
    assert_eq!(app.expect(&ann, ("POST", &accept), good.clone(), 409).await["code"], "no_pending_host_key");
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE remote_servers SET pending_host_key = $1").bind(HOST_KEY).execute(&pool).await.unwrap();
    let shown = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(shown["data"]["pending"]["fingerprint"], good["fingerprint"]);
    let other = app.expect(&ann, ("POST", &accept), json!({"fingerprint": "SHA256:other"}), 409).await;
    assert_eq!(other["code"], "other_host_key");
    let pinned = app.expect(&ann, ("POST", &accept), good.clone(), 200).await;
    assert_eq!(
        pinned["data"],
        json!({"pinned": {"type": "ssh-ed25519", "fingerprint": good["fingerprint"]}, "pending": null})
    );
}

#[tokio::test]
async fn without_a_workers_key_nothing_secret_is_stored() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("DELETE FROM vault_keys").execute(&pool).await.unwrap();
    let body = json!({"label": "s", "ip_address": "h", "username": "u", "port": 22, "database_password": "x"});
    let answer = app.expect(&ann, ("POST", "/api/remote-servers"), body, 503).await;
    assert_eq!(answer["code"], "no_vault_key");
}
