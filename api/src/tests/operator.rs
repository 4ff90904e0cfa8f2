//! Those who run the installation: suspending, limits, deleting; and what the audit log keeps of it.

use crate::testing::App;
use holdfast_domain::Abilities;
use serde_json::{Value, json};

#[tokio::test]
async fn suspension_stops_tokens_and_runs_at_once_and_both_logs_tell_it() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let bob = app.person("bob@example.com", Abilities::All).await;
    let made = app.definitions(&bob).await;
    let run = app.expect(&bob, ("POST", &format!("/api/backup-tasks/{}/run", made.task)), Value::Null, 202).await;
    let path = format!("/api/system/users/{}", bob.user_id);
    let body = json!({"reason": "abuse", "note": "CANARY-NOTE"});
    let view = app.expect(&ann, ("POST", &format!("{path}/suspend")), body.clone(), 200).await;
    assert_eq!(view["data"]["suspension"]["reason"], "abuse");
    assert_eq!(app.call(&bob.token, "GET", "/api/user", Value::Null).await.status, 401);
    let pool = app.database.owner_pool().await.unwrap();
    let row: (String, Option<String>) = sqlx::query_as("SELECT status, error_code FROM backup_runs WHERE id = $1")
        .bind(run["data"]["backup_run_id"].as_i64())
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(row, ("failed".to_owned(), Some("not_authorised".to_owned())));
    assert_eq!(app.expect(&ann, ("POST", &format!("{path}/suspend")), body, 409).await["code"], "already_suspended");
    let suspended = app.expect(&ann, ("GET", "/api/system/users?filter[suspended]=true"), Value::Null, 200).await;
    assert_eq!((&suspended["meta"]["total"], &suspended["data"][0]["email"]), (&json!(1), &json!("bob@example.com")));
    app.expect(&ann, ("POST", &format!("{path}/unsuspend")), json!({}), 200).await;
    let log = app.expect(&bob, ("GET", "/api/audit-events?filter[action]=user."), Value::Null, 200).await;
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["user.unsuspend", "user.suspend"]);
    assert_eq!(log["data"][0]["actor"]["type"], "operator");
    assert!(!log.to_string().contains("CANARY"), "{log}");
    let own = app.expect(&ann, ("GET", "/api/audit-events?filter[action]=user."), Value::Null, 200).await;
    assert_eq!(own["meta"]["total"], 2);
    let verdict = app.expect(&bob, ("GET", "/api/audit-events/verify"), Value::Null, 200).await;
    assert_eq!(verdict["data"]["ok"], true, "{verdict}");
}

#[tokio::test]
async fn an_operator_can_neither_suspend_nor_delete_themselves() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let path = format!("/api/system/users/{}", ann.user_id);
    let refused = app.expect(&ann, ("POST", &format!("{path}/suspend")), json!({"reason": "x"}), 409).await;
    assert_eq!(refused["code"], "own_account");
    assert_eq!(app.expect(&ann, ("DELETE", &path), json!({}), 409).await["code"], "own_account");
    app.expect(&ann, ("POST", "/api/system/users/999/suspend"), json!({"reason": "x"}), 404).await;
}

#[tokio::test]
async fn somebody_is_made_and_goes_with_what_they_have_only_when_it_is_confirmed() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let body = json!({"name": "Carl", "email": "carl@example.com", "password": "CANARY-long enough"});
    let made = app.expect(&ann, ("POST", "/api/system/users"), body.clone(), 201).await;
    app.expect(&ann, ("POST", "/api/system/users"), body, 422).await;
    let path = format!("/api/system/users/{}", made["data"]["id"]);
    app.expect(&ann, ("DELETE", &path), json!({}), 200).await;
    app.expect(&ann, ("GET", &path), Value::Null, 404).await;

    let bob = app.person("bob@example.com", Abilities::All).await;
    let things = app.definitions(&bob).await;
    app.backup(&bob, &things).await;
    let path = format!("/api/system/users/{}", bob.user_id);
    let refused = app.expect(&ann, ("DELETE", &path), json!({}), 409).await;
    assert_eq!((&refused["counts"]["backups"], &refused["counts"]["backup_tasks"]), (&json!(1), &json!(1)));
    app.expect(&ann, ("DELETE", &path), json!({"cascade": true, "confirm": "x"}), 422).await;
    let all = json!({"cascade": true, "confirm": "bob@example.com"});
    app.expect(&ann, ("DELETE", &path), all, 202).await;
    assert_eq!(app.call(&bob.token, "GET", "/api/user", Value::Null).await.status, 401);
    let log = app.expect(&ann, ("GET", "/api/audit-events?per_page=100"), Value::Null, 200).await;
    assert!(!log.to_string().contains("CANARY"), "{log}");
}

#[tokio::test]
async fn any_number_of_creates_at_once_never_exceed_a_limit() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let path = format!("/api/system/teams/{}/limits", ann.team_id);
    app.expect(&ann, ("PUT", &path), json!({"backup_destinations": 3, "nonsense": 1}), 422).await;
    app.expect(&ann, ("PUT", &path), json!({"backup_destinations": 3}), 200).await;
    let body = || json!({"label": "d", "type": "local"});
    let creates = (0..20).map(|_| app.call(&ann.token, "POST", "/api/backup-destinations", body()));
    let answers = futures_util::future::join_all(creates).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
    let refused = answers.iter().find(|answer| answer.status == 409).unwrap().json();
    assert_eq!((&refused["code"], &refused["limit"]), (&json!("limit_reached"), &json!("backup_destinations")));
    assert_eq!(refused["allowed"], 3);
    let limits = app.expect(&ann, ("GET", "/api/teams/current/limits"), Value::Null, 200).await;
    assert_eq!(limits["data"]["backup_destinations"], json!({"used": 3, "allowed": 3}));
    assert_eq!(limits["data"]["tokens"]["allowed"], Value::Null);
    assert_eq!(app.expect(&ann, ("GET", "/api/system/teams"), Value::Null, 200).await["meta"]["total"], 1);
}
