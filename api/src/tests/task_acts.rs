//! Pause, resume, duplicate, alias and what is due next.

use crate::testing::{App, task_body};
use chrono::TimeDelta;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// The clock of a test begins at 2024-08-07T03:06:40Z.
const TOMORROW: &str = "2024-08-08T02:00:00Z";

async fn daily(app: &App, ann: &crate::testing::Person, label: &str) -> i64 {
    let made = app.definitions_once(ann).await;
    let mut body = task_body(made.0, made.1);
    body["label"] = json!(label);
    body["frequency"] = json!("daily");
    app.expect(ann, ("POST", "/api/backup-tasks"), body, 201).await["data"]["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_pause_loses_no_time_that_was_due_before_it_and_makes_up_for_none_within_it() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let task = daily(&app, &ann, "t").await;
    let post = |act: &str| {
        let path = format!("/api/backup-tasks/{task}/{act}");
        let (app, ann) = (&app, ann.clone());
        async move { app.expect(&ann, ("POST", &path), Value::Null, 200).await["data"].clone() }
    };
    let paused = post("pause").await;
    assert_eq!(paused["paused_at"], "2024-08-07T03:06:40Z");
    assert_eq!(paused["schedule"]["next_run_at"], Value::Null);
    assert_eq!(paused["status"], "ready");
    app.pass(TimeDelta::minutes(1));
    assert_eq!(post("pause").await["paused_at"], "2024-08-07T03:06:40Z", "paused once");
    let refused = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{task}/run")), Value::Null, 409).await;
    assert_eq!(refused["message"], "The backup task is currently paused and cannot be executed.");
    let resumed = post("resume").await;
    assert_eq!((&resumed["paused_at"], &resumed["schedule"]["next_run_at"]), (&Value::Null, &json!(TOMORROW)));
    assert_eq!(post("resume").await["schedule"]["next_run_at"], TOMORROW, "resumed once");
    post("pause").await;
    app.pass(TimeDelta::days(1));
    assert_eq!(
        post("resume").await["schedule"]["next_run_at"],
        "2024-08-09T02:00:00Z",
        "what passed is not made up for"
    );
    // Due, and no scheduler came by before somebody paused it.
    app.pass(TimeDelta::days(1));
    post("pause").await;
    app.pass(TimeDelta::minutes(5));
    assert_eq!(post("resume").await["schedule"]["next_run_at"], "2024-08-09T02:00:00Z", "still owed");
}

#[tokio::test]
async fn a_copy_has_everything_but_secrets_and_what_is_one_tasks() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let task = daily(&app, &ann, "t").await;
    let path = format!("/api/backup-tasks/{task}");
    let (tag, stream) = (app.tag(&ann, "x").await, app.stream(&ann).await);
    let change = json!({
        "alias": "web", "tags": [tag], "notification_streams": [stream], "isolated_username": "b", "isolated_password": "CANARY-pw",
        "encryption_password": "CANARY-password", "retention": {"keep_last": 3, "recycle_secs": 60}
    });
    let before = app.expect(&ann, ("PUT", &path), change, 200).await["data"].clone();
    app.expect(&ann, ("POST", &format!("{path}/webhook")), Value::Null, 201).await;
    let copied = app.expect(&ann, ("POST", &format!("{path}/duplicate")), Value::Null, 201).await;
    assert_eq!(copied["secrets_to_enter"], json!(["encryption_password", "isolated_password"]));
    let copy = &copied["data"];
    assert_eq!(copy["label"], "t (Copy)");
    assert_eq!((&copy["alias"], &copy["has_encryption_password"]), (&Value::Null, &json!(false)));
    assert!(copy["paused_at"].is_string(), "paused until the secrets are entered");
    for same in
        ["source", "retention", "backup_destination_ids", "tags", "notification_streams", "encryption", "limits"]
    {
        assert_eq!(copy[same], before[same], "{same}");
    }
    let copy_path = format!("/api/backup-tasks/{}", copy["id"]);
    let webhook = app.expect(&ann, ("GET", &format!("{copy_path}/webhook")), Value::Null, 200).await;
    assert_eq!(webhook["data"]["is_set"], false);
    let pool = app.database.owner_pool().await.unwrap();
    let seals: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT seal_id) FROM backup_tasks").fetch_one(&pool).await.unwrap();
    let sealed = "SELECT count(*) FROM backup_tasks WHERE id = $1 AND num_nonnulls(sealed_encryption_password,
                  sealed_isolated_password, sealed_source_password) > 0";
    let sealed: i64 = sqlx::query_scalar(sealed).bind(copy["id"].as_i64()).fetch_one(&pool).await.unwrap();
    assert_eq!((seals, sealed), (2, 0));
    let refused = app.expect(&ann, ("POST", &format!("{copy_path}/resume")), Value::Null, 409).await;
    assert_eq!(refused["code"], "secret_missing");
    let secrets = json!({"encryption_password": "another password", "isolated_password": "p"});
    app.expect(&ann, ("PUT", &copy_path), secrets, 200).await;
    let resumed = app.expect(&ann, ("POST", &format!("{copy_path}/resume")), Value::Null, 200).await;
    assert_eq!(resumed["data"]["schedule"]["next_run_at"], TOMORROW);
    let plain = daily(&app, &ann, "plain").await;
    let body = json!({"label": "mine"});
    let copied = app.expect(&ann, ("POST", &format!("/api/backup-tasks/{plain}/duplicate")), body, 201).await;
    assert_eq!((&copied["data"]["label"], &copied["secrets_to_enter"]), (&json!("mine"), &json!([])));
    assert_eq!(
        (&copied["data"]["paused_at"], &copied["data"]["schedule"]["next_run_at"]),
        (&Value::Null, &json!(TOMORROW))
    );
}

#[tokio::test]
async fn an_alias_is_one_tasks_of_the_team_and_free_again_when_it_is_gone() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let (first, second, bobs) =
        (daily(&app, &ann, "a").await, daily(&app, &ann, "b").await, daily(&app, &bob, "c").await);
    let path = |id: i64| format!("/api/backup-tasks/{id}");
    let alias = json!({"alias": "web-01"});
    let shown = app.expect(&ann, ("PUT", &path(first)), alias.clone(), 200).await;
    assert_eq!(shown["data"]["alias"], "web-01");
    app.expect(&ann, ("PUT", &path(first)), alias.clone(), 200).await;
    let taken = app.expect(&ann, ("PUT", &path(second)), alias.clone(), 422).await;
    assert_eq!(taken["errors"], json!({"alias": ["The alias has already been taken."]}));
    app.expect(&bob, ("PUT", &path(bobs)), alias.clone(), 200).await;
    let found = app.expect(&ann, ("GET", "/api/backup-tasks?filter[alias]=web-01"), Value::Null, 200).await;
    assert_eq!((&found["meta"]["total"], &found["data"][0]["id"]), (&json!(1), &json!(first)));
    let found = app.expect(&ann, ("GET", "/api/backup-tasks?search=WEB-0"), Value::Null, 200).await;
    assert_eq!(found["meta"]["total"], 1);
    app.expect(&ann, ("DELETE", &path(first)), Value::Null, 200).await;
    app.expect(&ann, ("PUT", &path(second)), alias, 200).await;
    let cleared = app.expect(&ann, ("PUT", &path(second)), json!({"alias": null}), 200).await;
    assert_eq!(cleared["data"]["alias"], Value::Null);
}

#[tokio::test]
async fn what_is_due_next_is_the_teams_alone_in_the_readers_zone_and_language() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    daily(&app, &bob, "of Bob").await;
    let daily_one = daily(&app, &ann, "daily").await;
    let (server, destination) = app.definitions_once(&ann).await;
    let mut cron = task_body(server, destination);
    cron["custom_cron_expression"] = json!("30 4 * * *");
    cron["type"] = json!("database");
    cron["database_name"] = json!("shop");
    let cron = app.expect(&ann, ("POST", "/api/backup-tasks"), cron, 201).await["data"]["id"].as_i64().unwrap();
    let paused = daily(&app, &ann, "paused").await;
    app.expect(&ann, ("POST", &format!("/api/backup-tasks/{paused}/pause")), Value::Null, 200).await;
    let manual = daily(&app, &ann, "manual").await;
    app.expect(&ann, ("PUT", &format!("/api/backup-tasks/{manual}")), json!({"frequency": "manual"}), 200).await;
    let upcoming = ("GET", "/api/backup-tasks/upcoming");
    let list = app.expect(&ann, upcoming, Value::Null, 200).await;
    assert_eq!(
        list,
        json!({"data": [
            {"backup_task_id": cron, "label": "Weekly Full Backup", "type": "Database",
             "next_run": "2024-08-07T00:30:00-04:00", "next_run_human": "Wednesday, 7 August 2024 00:30"},
            {"backup_task_id": daily_one, "label": "daily", "type": "Files",
             "next_run": "2024-08-07T22:00:00-04:00", "next_run_human": "Wednesday, 7 August 2024 22:00"}
        ]})
    );
    for (language, human) in [("da", "Onsdag, 7 august 2024 06:30"), ("de", "Mittwoch, 7 August 2024 06:30")] {
        let profile = json!({"language": language, "timezone": "Europe/Berlin"});
        app.expect(&ann, ("PATCH", "/api/user"), profile, 200).await;
        let list = app.expect(&ann, upcoming, Value::Null, 200).await;
        assert_eq!(list["data"][0]["next_run_human"], human);
        assert_eq!(list["data"][0]["next_run"], "2024-08-07T06:30:00+02:00");
    }
    for n in 0..25 {
        daily(&app, &ann, &format!("{n}")).await;
    }
    let list = app.expect(&ann, upcoming, Value::Null, 200).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 20);
}
