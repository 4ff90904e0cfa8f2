//! A person's own account: what they take with them, and how it ends.

use super::people::{logged_in, person, two_factor};
use crate::testing::{App, task_body};
use chrono::TimeDelta;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

const EMAIL: &str = "ann@example.com";

async fn count(app: &App, sql: &'static str) -> i64 {
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
}

#[tokio::test]
async fn an_export_has_everything_of_the_person_and_the_team_and_no_secret() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    let bob = person(&app, "bob@example.com").await;
    let made = app.definitions(&ann).await;
    let strange = app.definitions(&bob).await;
    app.backup(&ann, &made).await;
    app.tag(&ann, "weekly").await;
    let server = json!({"label": "second", "ip_address": "10.0.0.2", "username": "root", "port": 22,
        "database_password": "CANARY-database"});
    app.expect(&ann, ("POST", "/api/remote-servers"), server, 201).await;
    let mut browser = logged_in(&app, EMAIL).await;
    let (secret, codes) = two_factor(&app, &mut browser).await;
    // More than a page of one list.
    let pool = app.database.owner_pool().await.unwrap();
    let many = "INSERT INTO tags (team_id, user_id, label) SELECT $1, $2, 'tag ' || n FROM generate_series(1, 450) n";
    sqlx::query(many).bind(ann.team_id.0).bind(ann.user_id.0).execute(&pool).await.unwrap();
    let stream = json!({"label": "hook", "type": "webhook", "value": "https://example.net/CANARY-path",
        "events": ["failure"]});
    let stream = app.expect(&ann, ("POST", "/api/notification-streams"), stream, 201).await;

    let answer = browser.ask(&app, "GET", "/api/account/export", Value::Null).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let export = answer.json();
    assert_eq!(export["format"], "holdfast-account-export/1");
    assert_eq!((&export["user"]["personal_info"]["email"], &export["role"]), (&json!(EMAIL), &json!("owner")));
    assert_eq!(export["two_factor"]["recovery_codes_left"], codes.len());
    assert!(export["two_factor"]["on_since"].is_string());
    assert_eq!(export["team"]["members"].as_array().map(Vec::len), Some(1));
    let lengths =
        ["tokens", "sessions", "known_devices", "remote_servers", "backup_tasks", "backups", "recycled_backups"]
            .map(|list| export[list].as_array().unwrap_or_else(|| panic!("no {list}")).len());
    assert_eq!(lengths, [1, 1, 1, 2, 1, 1, 0]);
    let tags = export["tags"].as_array().unwrap();
    let ids: std::collections::BTreeSet<_> = tags.iter().map(|tag| tag["id"].as_i64()).collect();
    assert_eq!((tags.len(), ids.len()), (451, 451), "each once, over several pages");
    let told = export["audit_events"].as_array().unwrap();
    assert!(told.iter().any(|event| event["action"] == "remote_server.create"), "{told:?}");

    let text = export.to_string();
    let signing = stream["data"]["secret"].as_str().unwrap();
    let shown_once = codes.iter().map(String::as_str).chain([signing, ann.token.split_once('|').unwrap().1]);
    for hidden in shown_once.chain(["CANARY", "argon2", "sealed", "bob@example.com"]) {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert!(!text.contains(secrecy::ExposeSecret::expose_secret(&secret.base32())));
    assert!(export["backup_tasks"].as_array().unwrap().iter().all(|task| task["id"] != strange.task));
}

#[tokio::test]
async fn who_does_not_own_the_team_takes_only_what_is_theirs() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    app.definitions(&ann).await;
    let mut browser = logged_in(&app, EMAIL).await;
    let pool = app.database.owner_pool().await.unwrap();
    sqlx::query("UPDATE members SET role = 'viewer'").execute(&pool).await.unwrap();
    let export = browser.must(&app, ("GET", "/api/account/export"), Value::Null, 200).await;
    assert_eq!((&export["role"], &export["team"]), (&json!("viewer"), &Value::Null));
    assert_eq!(export["tokens"].as_array().map(Vec::len), Some(1));
    assert!(export.get("remote_servers").is_none() && export.get("backup_tasks").is_none(), "{export}");
}

#[tokio::test]
async fn both_want_a_session_whose_person_was_asked_just_now() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    let mut browser = logged_in(&app, EMAIL).await;
    for (method, path) in [("GET", "/api/account/export"), ("DELETE", "/api/account")] {
        let by_token = app.call(&ann.token, method, path, Value::Null).await;
        assert_eq!((by_token.status.as_u16(), &by_token.json()["code"]), (403, &json!("session_required")), "{path}");
    }
    app.pass(TimeDelta::minutes(11));
    for (method, path) in [("GET", "/api/account/export"), ("DELETE", "/api/account")] {
        let stale = browser.must(&app, (method, path), Value::Null, 403).await;
        assert_eq!(stale["code"], "reauth_required", "{path}");
    }
}

#[tokio::test]
async fn an_account_without_backups_goes_at_once_and_its_address_is_free() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    app.definitions(&ann).await;
    app.definitions(&bob).await;
    let mut browser = logged_in(&app, EMAIL).await;
    for body in [json!({}), json!({"confirm": "bob@example.com"}), json!({"confirm": EMAIL, "nonsense": 1})] {
        browser.must(&app, ("DELETE", "/api/account"), body, 422).await;
    }
    assert_eq!(browser.status(&app).await, 200);
    let gone = browser.must(&app, ("DELETE", "/api/account"), json!({"confirm": EMAIL}), 200).await;
    assert_eq!(gone["message"], "Account successfully deleted");
    assert_eq!(gone["keys_left_behind"].as_array().map(Vec::len), Some(1), "{gone}");
    assert_eq!(browser.status(&app).await, 401);
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 401);
    assert_eq!(browser.log_in(&app, EMAIL, super::people::PASSWORD).await.status, 422);
    let rows =
        "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM teams) + (SELECT count(*) FROM remote_servers)";
    assert_eq!(count(&app, rows).await, 3, "bob's alone");
    app.expect(&bob, ("GET", "/api/user"), Value::Null, 200).await;
    app.person(EMAIL, Abilities::All).await;
}

#[tokio::test]
async fn an_account_with_backups_is_closed_first_and_only_when_that_is_meant() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    let made = app.definitions(&ann).await;
    app.backup(&ann, &made).await;
    let running = app.expect(&ann, ("POST", "/api/backup-tasks"), task_body(made.server, made.destination), 201).await;
    let run = format!("/api/backup-tasks/{}/run", running["data"]["id"]);
    app.expect(&ann, ("POST", &run), Value::Null, 202).await;
    let mut browser = logged_in(&app, EMAIL).await;
    let refused = browser.must(&app, ("DELETE", "/api/account"), json!({"confirm": EMAIL}), 409).await;
    assert_eq!((&refused["counts"]["backups"], &refused["counts"]["backup_tasks"]), (&json!(1), &json!(2)));
    assert_eq!(browser.status(&app).await, 200, "nothing was done");
    let body = json!({"confirm": EMAIL, "delete_backups": true});
    browser.must(&app, ("DELETE", "/api/account"), body, 202).await;
    assert_eq!(browser.status(&app).await, 401);
    assert_eq!(app.call(&ann.token, "GET", "/api/user", Value::Null).await.status, 401);
    assert_eq!(count(&app, "SELECT count(*) FROM backup_runs WHERE status IN ('queued', 'running')").await, 0);
    assert_eq!(
        count(&app, "SELECT count(*) FROM users").await,
        1,
        "while its objects lie somewhere, they have an owner"
    );
}

#[tokio::test]
async fn the_last_operator_does_not_leave() {
    let app = App::start().await;
    let ann = person(&app, EMAIL).await;
    app.make_operator(&ann).await;
    let mut browser = logged_in(&app, EMAIL).await;
    let refused = browser.must(&app, ("DELETE", "/api/account"), json!({"confirm": EMAIL}), 409).await;
    assert_eq!(refused["code"], "last_operator");
    let bob = app.person("bob@example.com", Abilities::All).await;
    app.make_operator(&bob).await;
    browser.must(&app, ("DELETE", "/api/account"), json!({"confirm": EMAIL}), 200).await;
}
