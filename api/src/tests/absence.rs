//! The alarm on absence, as far as the api has a part in it: without any worker.

use crate::testing::{App, Person, task_body};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Abilities;
use holdfast_domain::schedule::{Schedule, ScheduleColumns};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const GRACE: Duration = Duration::from_secs(3_600);

struct World {
    app: App,
    ann: Person,
    pool: PgPool,
    task: i64,
}

impl World {
    async fn new() -> Self {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let pool = app.database.owner_pool().await.unwrap();
        let world = Self { app, ann, pool, task: 0 };
        Self { task: world.daily("Nightly").await, ..world }
    }

    async fn daily(&self, label: &str) -> i64 {
        let made = self.app.definitions_once(&self.ann).await;
        let mut body = task_body(made.0, made.1);
        body["label"] = json!(label);
        body["frequency"] = json!("daily");
        let made = self.app.expect(&self.ann, ("POST", "/api/backup-tasks"), body, 201).await;
        made["data"]["id"].as_i64().unwrap()
    }

    async fn act(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/api/backup-tasks/{}{path}", self.task);
        self.app.expect(&self.ann, (method, &path), body, 200).await["data"].clone()
    }

    async fn view(&self) -> Value {
        self.act("GET", "", Value::Null).await
    }

    /// The success that was expected did not come.
    async fn expire(&self) {
        let sql = "UPDATE backup_tasks SET next_success_expected_by = now() - interval '1 minute', is_expectation_due = false";
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

fn at(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

/// The first 02:00 from now on: the watch goes by the database's clock.
fn next_slot() -> DateTime<Utc> {
    let columns = ScheduleColumns { frequency: "daily", time_to_run_at: Some("02:00"), ..ScheduleColumns::default() };
    Schedule::from_columns(&columns).unwrap().next_after(Utc::now()).unwrap()
}

#[tokio::test]
async fn the_view_says_when_a_success_is_expected() {
    let world = World::new().await;
    let shown = world.view().await;
    assert_eq!((&shown["grace_secs"], &shown["overdue_since"]), (&Value::Null, &Value::Null));
    assert_eq!(at(&shown["next_success_expected_by"]), next_slot() + TimeDelta::hours(1));

    let changed = world.act("PUT", "", json!({"grace_secs": 60})).await;
    assert_eq!(changed["grace_secs"], 60);
    assert_eq!(at(&changed["next_success_expected_by"]), next_slot() + TimeDelta::minutes(1));
    let cleared = world.act("PUT", "", json!({"grace_secs": null})).await;
    assert_eq!(at(&cleared["next_success_expected_by"]), next_slot() + TimeDelta::hours(1));

    assert_eq!(world.act("POST", "/pause", Value::Null).await["next_success_expected_by"], Value::Null);
    let resumed = world.act("POST", "/resume", Value::Null).await;
    assert_eq!(at(&resumed["next_success_expected_by"]), next_slot() + TimeDelta::hours(1));
    let manual = world.act("PUT", "", json!({"frequency": "manual"})).await;
    assert_eq!(manual["next_success_expected_by"], Value::Null);

    let path = format!("/api/backup-tasks/{}", world.task);
    for wrong in [json!(-1), json!(2_592_001), json!("soon")] {
        world.app.expect(&world.ann, ("PUT", &path), json!({"grace_secs": wrong}), 422).await;
    }
}

#[tokio::test]
async fn with_every_worker_dead_two_api_processes_raise_one_alarm() {
    let world = World::new().await;
    world.expire().await;
    let env = [("HOLDFAST__ABSENCE__WATCH_INTERVAL_SECS".to_owned(), "0.1".to_owned())];
    let config = Arc::new(holdfast_config::Config::load(None, env.into_iter()).unwrap());
    let stop = CancellationToken::new();
    let mut apis = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let public = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = crate::Listeners { public, operator: None };
        let stops = crate::Stop { soft: stop.clone(), hard: CancellationToken::new() };
        apis.spawn(crate::serve(config.clone(), (world.app.store.clone(), None), listeners, stops));
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while world.view().await["overdue_since"].is_null() {
        assert!(tokio::time::Instant::now() < deadline, "nobody noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    while let Some(ended) = apis.join_next().await {
        ended.unwrap().unwrap();
    }
    assert_eq!(world.app.store.watch_absence(GRACE).await.unwrap(), 0, "said once");
    let told = "SELECT count(*) FROM deliveries WHERE class = 'absence' AND event = 'overdue' AND state = 'pending'";
    assert_eq!(world.count(told).await, 1, "it waits for a worker");
}

#[tokio::test]
async fn eight_watchers_at_once_raise_one_alarm_for_each_task() {
    let world = World::new().await;
    world.daily("Hourly").await;
    world.expire().await;
    let rounds = (0..8).map(|_| world.app.store.watch_absence(GRACE));
    let alarms = futures_util::future::join_all(rounds).await;
    assert_eq!(alarms.into_iter().map(Result::unwrap).sum::<usize>(), 2);
    assert_eq!(world.count("SELECT count(*) FROM backup_tasks WHERE overdue_since IS NOT NULL").await, 2);
}

#[tokio::test]
async fn what_is_not_expected_is_not_absent() {
    let world = World::new().await;
    let team = "UPDATE teams SET suspended_at = ";
    for (stop, go_on) in [
        ("UPDATE backup_tasks SET paused_at = now()".to_owned(), "UPDATE backup_tasks SET paused_at = NULL".to_owned()),
        (
            "UPDATE backup_tasks SET deleted_at = now()".to_owned(),
            "UPDATE backup_tasks SET deleted_at = NULL".to_owned(),
        ),
        (format!("{team} now()"), format!("{team} NULL")),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(stop.clone())).execute(&world.pool).await.unwrap();
        world.expire().await;
        assert_eq!(world.app.store.watch_absence(GRACE).await.unwrap(), 0, "{stop}");
        // It begins anew: what was expected meanwhile is no absence.
        sqlx::raw_sql(sqlx::AssertSqlSafe(go_on)).execute(&world.pool).await.unwrap();
        assert_eq!(world.app.store.watch_absence(GRACE).await.unwrap(), 0, "{stop}");
        let expected = at(&world.view().await["next_success_expected_by"]);
        assert_eq!(expected, next_slot() + TimeDelta::hours(1), "{stop}");
    }
    world.expire().await;
    assert_eq!(world.app.store.watch_absence(GRACE).await.unwrap(), 1);
    world.act("POST", "/pause", Value::Null).await;
    let resumed = world.act("POST", "/resume", Value::Null).await;
    assert_eq!(resumed["overdue_since"], Value::Null, "anew");
}

#[tokio::test]
async fn a_task_that_makes_trouble_hides_no_other() {
    let world = World::new().await;
    let other = world.daily("Other").await;
    let spoil = "ALTER TABLE backup_tasks DISABLE TRIGGER task_expectation;
                 UPDATE backup_tasks SET is_expectation_due = true, next_success_expected_by = NULL;
                 UPDATE backup_tasks SET custom_cron = 'x', frequency = 'custom' WHERE label = 'Nightly';
                 ALTER TABLE backup_tasks ENABLE TRIGGER task_expectation";
    sqlx::raw_sql(spoil).execute(&world.pool).await.unwrap();
    world.app.store.watch_absence(GRACE).await.unwrap();
    let path = format!("/api/backup-tasks/{other}");
    let shown = world.app.expect(&world.ann, ("GET", &path), Value::Null, 200).await;
    assert_eq!(at(&shown["data"]["next_success_expected_by"]), next_slot() + TimeDelta::hours(1));
    assert_eq!(world.view().await["next_success_expected_by"], Value::Null);
}
