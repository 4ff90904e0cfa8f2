//! Those who run the installation: suspending, limits, deleting; and what the audit log keeps of it.

use crate::testing::{Answer, App};
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

/// How many of 12 requests at once are let in; the others are told which limit it was.
async fn let_in(request: impl AsyncFn(usize) -> Answer, limit: &str) -> usize {
    let answers = futures_util::future::join_all((0..12).map(|n| request(n))).await;
    for refused in answers.iter().filter(|answer| !answer.status.is_success()) {
        let body = refused.json();
        assert_eq!(
            (refused.status.as_u16(), &body["code"], &body["limit"]),
            (409, &json!("limit_reached"), &json!(limit))
        );
    }
    answers.iter().filter(|answer| answer.status.is_success()).count()
}

#[tokio::test]
async fn two_requests_at_once_never_exceed_any_limit_that_counts() {
    let app = App::start().await;
    // Whether a token has ended is told by the database's clock, and a test's is behind it.
    app.pass(chrono::TimeDelta::days(1_000));
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    let tasks = futures_util::future::join_all((0..4).map(async |_| {
        let body = crate::testing::task_body(made.server, made.destination);
        app.expect(&ann, ("POST", "/api/backup-tasks"), body, 201).await["data"]["id"].clone()
    }))
    .await;
    let session = app.session(&ann).await;
    let limits =
        json!({"remote_servers": 3, "backup_tasks": 7, "notification_streams": 2, "tokens": 4, "runs_at_once": 2});
    app.expect(&ann, ("PUT", &format!("/api/system/teams/{}/limits", ann.team_id)), limits, 200).await;
    let post = async |path: &str, body: Value| app.call(&ann.token, "POST", path, body).await;
    let server = async |n: usize| {
        post("/api/remote-servers", json!({"label": "s", "ip_address": "10.0.1.1", "username": "u", "port": 1000 + n}))
            .await
    };
    assert_eq!(let_in(server, "remote_servers").await, 2);
    let task = async |n: usize| match n % 2 {
        0 => post("/api/backup-tasks", crate::testing::task_body(made.server, made.destination)).await,
        _ => post(&format!("/api/backup-tasks/{}/duplicate", made.task), Value::Null).await,
    };
    assert_eq!(let_in(task, "backup_tasks").await, 2);
    let stream = async |_| {
        let body = json!({"label": "h", "type": "webhook", "value": "https://example.net/x", "events": []});
        post("/api/notification-streams", body).await
    };
    assert_eq!(let_in(stream, "notification_streams").await, 2);
    let token = async |_| app.browse(&session, "POST", "/api/tokens", json!({"name": "t", "abilities": ["*"]})).await;
    assert_eq!(let_in(token, "tokens").await, 3);
    let run = async |n: usize| post(&format!("/api/backup-tasks/{}/run", tasks[n % 4]), Value::Null).await;
    let answers = futures_util::future::join_all((0..12).map(run)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 2, "a task that runs is refused besides");
    let used = app.expect(&ann, ("GET", "/api/teams/current/limits"), Value::Null, 200).await;
    assert_eq!(used["data"]["runs_at_once"], json!({"used": 2, "allowed": 2}));
    assert_eq!(used["data"]["tokens"], json!({"used": 4, "allowed": 4}));
}

#[tokio::test]
async fn a_schedule_may_not_be_closer_than_the_limit() {
    let app = App::start().await;
    let ann = app.person("ann@example.com", Abilities::All).await;
    app.make_operator(&ann).await;
    let made = app.definitions(&ann).await;
    let limits = json!({"min_interval_secs": 3600});
    app.expect(&ann, ("PUT", &format!("/api/system/teams/{}/limits", ann.team_id)), limits, 200).await;
    let body = |cron: &str| {
        let mut body = crate::testing::task_body(made.server, made.destination);
        body["frequency"] = json!("custom");
        body["custom_cron_expression"] = json!(cron);
        body.as_object_mut().unwrap().remove("time_to_run_at");
        body
    };
    for too_often in ["*/30 * * * *", "0,50 * * * *"] {
        let refused = app.expect(&ann, ("POST", "/api/backup-tasks"), body(too_often), 409).await;
        assert_eq!(refused["limit"], "min_interval_secs", "{too_often}");
    }
    let hourly = app.expect(&ann, ("POST", "/api/backup-tasks"), body("0 * * * *"), 201).await;
    let path = format!("/api/backup-tasks/{}", hourly["data"]["id"]);
    let refused = app.expect(&ann, ("PUT", &path), body("*/10 * * * *"), 409).await;
    assert_eq!((&refused["code"], &refused["allowed"]), (&json!("limit_reached"), &json!(3600)));
    let kept = app.expect(&ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(kept["data"]["schedule"]["custom_cron"], "0 * * * *");
}
