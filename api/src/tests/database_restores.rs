//! Restores of databases as far as the api goes: what is accepted, what is sealed, what is shown.

use crate::testing::{App, Definitions, Person};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// A backup of two databases with the server's globals.
async fn databases(app: &App, person: &Person, made: &Definitions) -> i64 {
    let (_, backup) = app.backup(person, made).await;
    let digest = json!({"size_bytes": 1, "sha256": "aa"});
    let stream = |name: &str, format: &str, facts: Value| {
        json!({"name": name, "format": format, "exit_status": 0, "original": digest, "stored": digest, "nfiles": 1,
               "objects": [], "database": facts})
    };
    let facts = json!({"engine": "postgresql", "server_version": "15", "tables": 1});
    let manifest = json!({
        "version": 1, "team_uuid": "00000000-0000-0000-0000-000000000000", "backup_task_id": made.task,
        "task_label": "t", "backup_run_id": 1, "run_ulid": "x", "epoch": 1, "started_at": "2024-08-07T00:00:00Z",
        "finished_at": "2024-08-07T00:00:00Z", "origin": "u@h:22", "encryption": "managed", "tools": {},
        "source": {"kind": "database", "engine": "auto", "databases": []}, "warnings": {"kept": [], "count": 0},
        "holdfast": "1", "streams": [stream("shop", "pgdump", facts.clone()), stream("globals", "sql", Value::Null),
                                     stream("blog", "pgdump", facts)],
    });
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE backups SET manifest = $2 WHERE id = $1")
        .bind(backup)
        .bind(manifest)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("UPDATE backup_streams SET name = 'shop', format = 'pgdump' WHERE backup_id = $1")
        .bind(backup)
        .execute(&pool)
        .await
        .unwrap();
    for (position, name, format) in [(1, "globals", "sql"), (2, "blog", "pgdump")] {
        sqlx::query(
            "INSERT INTO backup_streams (team_id, backup_id, position, name, format, original_size, original_sha256,
                                         stored_size, stored_sha256, nfiles)
             SELECT team_id, backup_id, $2, $3, $4, 1, 'aa', 1, 'aa', 1 FROM backup_streams
             WHERE backup_id = $1 AND position = 0",
        )
        .bind(backup)
        .bind(position)
        .bind(name)
        .bind(format)
        .execute(&pool)
        .await
        .unwrap();
    }
    backup
}

#[tokio::test]
async fn a_database_is_restored_to_a_database_and_its_password_is_never_shown() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let backup = databases(&app, &ann, &made).await;
    let path = format!("/api/backups/{backup}/restore");
    let target = json!({"remote_server_id": made.server, "database": "shop_new", "host": "DB.internal", "port": 3307,
                        "username": "root", "password": " CANARY-restore "});
    let body = json!({"target": target, "streams": ["shop"]});
    let started = app.expect(&ann, ("POST", &path), body, 202).await;
    let shown = app.expect(&ann, ("GET", &format!("/api/restores/{}", started["data"]["id"])), Value::Null, 200).await;
    let wanted = json!({"remote_server_id": made.server, "database": "shop_new", "host": "db.internal", "port": 3307,
                        "username": "root"});
    assert_eq!(shown["data"]["target"], wanted);
    assert_eq!(shown["data"]["existing"], "refuse");
    let pool = app.database.owner_pool().await.unwrap();
    let (row, sealed): (String, Option<Vec<u8>>) =
        sqlx::query_as("SELECT r::text, sealed_database_password FROM restores r").fetch_one(&pool).await.unwrap();
    assert!(sealed.is_some_and(|bytes| bytes.len() > 16) && !row.contains("CANARY"), "{row}");
    let audit: String = sqlx::query_scalar("SELECT details::text FROM audit_events WHERE action = 'backup.restore'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(audit.contains("shop_new") && !audit.contains("CANARY"), "{audit}");
}

#[tokio::test]
async fn an_existing_database_needs_its_own_confirmation() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/backups/{}/restore", databases(&app, &ann, &made).await);
    let body = |more: Value| {
        let mut body = json!({"target": {"remote_server_id": made.server, "database": "shop"}, "streams": ["shop"]});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    for wrong in [
        json!({"existing": "overwrite"}),
        json!({"confirm": "10.0.0.1:blog"}),
        json!({"confirm": "shop"}),
        json!({"existing": "overwrite", "confirm": "10.0.0.2:shop"}),
    ] {
        let refused = app.expect(&ann, ("POST", &path), body(wrong.clone()), 422).await;
        assert!(refused["errors"]["confirm"].is_array(), "{wrong}: {refused}");
    }
    for (more, existing) in [
        (json!({"confirm": "10.0.0.1:shop"}), "overwrite"),
        (json!({"existing": "refuse", "confirm": "10.0.0.1:shop"}), "refuse"),
        (json!({}), "refuse"),
    ] {
        let started = app.expect(&ann, ("POST", &path), body(more), 202).await;
        let path = format!("/api/restores/{}", started["data"]["id"]);
        let shown = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
        assert_eq!(shown["data"]["existing"], existing);
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_said_by_field() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let (_, files) = app.backup(&ann, &made).await;
    let backup = databases(&app, &ann, &made).await;
    let to = |database: &str| json!({"remote_server_id": made.server, "database": database});
    let folder = json!({"remote_server_id": made.server, "path": "/new"});
    let with = |more: Value| {
        let mut target = to("new");
        for (key, value) in more.as_object().unwrap() {
            target[key] = value.clone();
        }
        json!({"target": target, "streams": ["shop"]})
    };
    for (body, field) in [
        (json!({"target": to("new")}), "streams"),
        (json!({"target": to("new"), "streams": ["shop", "blog"]}), "streams"),
        (json!({"target": to("new"), "streams": ["globals"]}), "streams"),
        (json!({"target": to("new"), "streams": ["other"]}), "streams.0"),
        (json!({"target": folder, "streams": ["shop"]}), "target.path"),
        (json!({"target": to("new"), "streams": ["shop"], "paths": ["/etc"]}), "paths"),
        (json!({"target": to("new"), "streams": ["shop"], "layout": "keep_path"}), "layout"),
        (json!({"target": to("new"), "streams": ["shop"], "restore_owners": true}), "restore_owners"),
        (json!({"target": to("new"), "streams": ["shop"], "existing": "skip"}), "existing"),
        (with(json!({"path": "/new"})), "target.database"),
        (with(json!({"port": 0})), "target.port"),
        (with(json!({"host": "a b"})), "target.host"),
        (with(json!({"host": "/run/evil"})), "target.host"),
        (with(json!({"password": "x\n[client]\nhost=evil"})), "target.password"),
        (json!({"target": to("host=evil port=5999"), "streams": ["shop"]}), "target.database"),
        (json!({"target": to("--result-file=/tmp/x"), "streams": ["shop"]}), "target.database"),
        (json!({"target": to("postgresql://evil/x"), "streams": ["shop"]}), "target.database"),
    ] {
        let refused = app.expect(&ann, ("POST", &format!("/api/backups/{backup}/restore")), body.clone(), 422).await;
        assert!(refused["errors"][field].is_array(), "{body}: {refused}");
    }
    for (body, field) in [
        (json!({"target": to("new")}), "target.database"),
        (json!({"target": {"remote_server_id": made.server, "path": "/new", "password": "x"}}), "target.password"),
    ] {
        let refused = app.expect(&ann, ("POST", &format!("/api/backups/{files}/restore")), body.clone(), 422).await;
        assert!(refused["errors"][field].is_array(), "{body}: {refused}");
    }
}

#[tokio::test]
async fn databases_of_a_server_are_asked_of_a_worker_and_of_ones_own_team() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let made = app.definitions(&ann).await;
    let path = format!("/api/remote-servers/{}/databases", made.server);
    assert_eq!(app.expect(&ann, ("GET", &path), Value::Null, 503).await["code"], "no_worker");
    app.expect(&ann, ("GET", &format!("{path}?engine=oracle")), Value::Null, 422).await;
    app.expect(&bob, ("GET", &path), Value::Null, 404).await;
}
