//! When a task runs: frequencies, zones, windows and jitter as a client writes and reads them, and what editing does to
//! what is owed.

use crate::testing::{App, Definitions, Person};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Abilities;
use serde_json::{Value, json};

/// Sunday, 2026-11-29 11:00 in UTC.
const NOON: i64 = 1_795_950_000;

struct World {
    app: App,
    ann: Person,
    made: Definitions,
}

impl World {
    async fn new() -> Self {
        let app = App::start().await;
        let ann = app.person("ann@example.com", Abilities::All).await;
        let made = app.definitions(&ann).await;
        let noon = DateTime::from_timestamp(NOON, 0).unwrap();
        app.pass(noon - app.now());
        Self { app, ann, made }
    }

    /// The task's body with another schedule.
    fn body(&self, schedule: Value) -> Value {
        let mut body = crate::testing::task_body(self.made.server, self.made.destination);
        let body_map = body.as_object_mut().unwrap();
        for name in ["time_to_run_at", "frequency"] {
            body_map.remove(name);
        }
        body_map.extend(schedule.as_object().unwrap().clone());
        body
    }

    async fn create(&self, schedule: Value) -> Value {
        self.app.expect(&self.ann, ("POST", "/api/backup-tasks"), self.body(schedule), 201).await["data"].clone()
    }

    async fn refuse(&self, schedule: Value, field: &str) -> String {
        let shown = schedule.to_string();
        let refused = self.app.expect(&self.ann, ("POST", "/api/backup-tasks"), self.body(schedule), 422).await;
        refused["errors"][field][0].as_str().unwrap_or_else(|| panic!("{shown}: {refused}")).to_owned()
    }

    async fn update(&self, task: &Value, change: Value) -> Value {
        let path = format!("/api/backup-tasks/{}", task["id"]);
        self.app.expect(&self.ann, ("PUT", &path), change, 200).await["data"].clone()
    }

    async fn sql(&self, sql: &'static str, task: &Value) {
        let pool = self.app.database.owner_pool().await.unwrap();
        sqlx::query(sql).bind(task["id"].as_i64()).execute(&pool).await.unwrap();
    }
}

fn next(task: &Value) -> &str {
    task["schedule"]["next_run_at"].as_str().unwrap_or_else(|| panic!("{task}"))
}

#[tokio::test]
async fn each_frequency_is_stored_shown_and_due() {
    let world = World::new().await;
    let hourly = world.create(json!({"frequency": "hourly", "minute": 15})).await;
    assert_eq!((next(&hourly), &hourly["schedule"]["minute"]), ("2026-11-29T11:15:00Z", &json!(15)));
    let plain = world.create(json!({"frequency": "hourly"})).await;
    assert_eq!(next(&plain), "2026-11-29T12:00:00Z");

    let weekly =
        json!({"frequency": "weekly", "weekdays": [5, 1], "time_to_run_at": "03:00", "timezone": "Europe/Berlin"});
    let weekly = world.create(weekly).await;
    assert_eq!(next(&weekly), "2026-11-30T02:00:00Z");
    let shown = &weekly["schedule"];
    assert_eq!((&shown["weekday"], &shown["weekdays"]), (&json!(1), &json!([1, 5])));
    let one = world.update(&weekly, json!({"weekday": 3})).await;
    assert_eq!((next(&one), &one["schedule"]["weekdays"]), ("2026-12-02T02:00:00Z", &json!([3])));
    let many = world.update(&weekly, json!({"weekdays": [0, 6]})).await;
    assert_eq!(next(&many), "2026-12-05T02:00:00Z");

    let last = world.create(json!({"frequency": "monthly", "month_day": "last", "time_to_run_at": "03:00"})).await;
    assert_eq!((next(&last), &last["schedule"]["month_day"]), ("2026-11-30T03:00:00Z", &json!(31)));
    let interval = world.create(json!({"frequency": "interval", "interval_secs": 25_200})).await;
    assert_eq!(next(&interval), "2026-11-29T18:00:00Z");
    assert_eq!(interval["schedule"]["interval_from"], "2026-11-29T11:00:00Z");
    let anchored =
        json!({"frequency": "interval", "interval_secs": 25_200, "interval_from": "2026-11-30T00:30:00+02:00"});
    assert_eq!(next(&world.create(anchored).await), "2026-11-29T22:30:00Z");

    // What a frequency has no use for goes.
    let daily = world.update(&last, json!({"frequency": "daily"})).await;
    assert_eq!((next(&daily), &daily["schedule"]["month_day"]), ("2026-11-30T03:00:00Z", &Value::Null));
    let upcoming = world.app.expect(&world.ann, ("GET", "/api/backup-tasks/upcoming"), Value::Null, 200).await;
    let first = upcoming["data"].as_array().unwrap().iter().find(|row| row["next_run"] == "2026-11-29T06:15:00-05:00");
    assert_eq!(first.unwrap_or_else(|| panic!("{upcoming}"))["backup_task_id"], hourly["id"]);
}

#[tokio::test]
async fn what_is_no_schedule_names_its_field() {
    let world = World::new().await;
    let time = json!({"frequency": "daily", "time_to_run_at": "03:00"});
    let with = |more: Value| {
        let mut body = time.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        Value::Object(body)
    };
    for (schedule, field) in [
        (json!({"frequency": "yearly"}), "frequency"),
        (json!({"frequency": "monthly", "time_to_run_at": "03:00"}), "month_day"),
        (json!({"frequency": "monthly", "time_to_run_at": "03:00", "month_day": 32}), "month_day"),
        (json!({"frequency": "monthly", "time_to_run_at": "03:00", "month_day": "first"}), "month_day"),
        (json!({"frequency": "monthly", "month_day": 1}), "time_to_run_at"),
        (json!({"frequency": "interval"}), "interval_secs"),
        (json!({"frequency": "interval", "interval_secs": 3_601}), "interval_secs"),
        (json!({"frequency": "interval", "interval_secs": 3_600, "interval_from": "soon"}), "interval_from"),
        (
            json!({"frequency": "interval", "interval_secs": 3_600, "interval_from": "2026-11-29T11:00:30Z"}),
            "interval_from",
        ),
        (json!({"frequency": "hourly", "minute": 60}), "minute"),
        (with(json!({"weekdays": [7]})), "weekdays"),
        (with(json!({"weekdays": []})), "weekdays"),
        (with(json!({"weekdays": [1, 1]})), "weekdays.1"),
        (with(json!({"window_from": "01:00"})), "window_until"),
        (with(json!({"window_from": "01:00", "window_until": "01:00"})), "window_until"),
        (with(json!({"window_from": "1am", "window_until": "05:00"})), "window_from"),
        (with(json!({"jitter_secs": -1})), "jitter_secs"),
        (with(json!({"jitter_secs": 86_401})), "jitter_secs"),
        (with(json!({"catch_up": "twice"})), "catch_up"),
    ] {
        world.refuse(schedule, field).await;
    }
}

#[tokio::test]
async fn what_would_never_run_or_too_often_is_refused() {
    let world = World::new().await;
    let cron = |text: &str| json!({"frequency": "custom", "custom_cron_expression": text});
    for never in ["0 0 30 2 *", "* * * * * *", &"1,".repeat(600)] {
        world.refuse(cron(never), "custom_cron_expression").await;
    }
    let outside =
        json!({"frequency": "daily", "time_to_run_at": "12:00", "window_from": "22:00", "window_until": "04:00"});
    assert!(world.refuse(outside, "window_from").await.contains("never"));
    for often in ["*/1 * * * *", "*/4 * * * *", "0,1 3 * * *"] {
        let why = world.refuse(cron(often), "custom_cron_expression").await;
        assert!(why.contains("5 min is the least"), "{why}");
    }
    let why = world.refuse(json!({"frequency": "interval", "interval_secs": 240}), "interval_secs").await;
    assert!(why.contains("every 4 min"), "{why}");
    // One from before the setting stays what it is while other things change.
    let task = world.create(cron("*/5 * * * *")).await;
    world.sql("UPDATE backup_tasks SET custom_cron = '* * * * *' WHERE id = $1", &task).await;
    world.update(&task, json!({"label": "Often"})).await;
    let path = format!("/api/backup-tasks/{}", task["id"]);
    world.app.expect(&world.ann, ("PUT", &path), json!({"custom_cron_expression": "*/2 * * * *"}), 422).await;
}

#[tokio::test]
async fn windows_and_jitter_move_starts_and_not_slots() {
    let world = World::new().await;
    let window = json!({"frequency": "hourly", "window_from": "23:00", "window_until": "02:00", "jitter_secs": 1_800});
    let task = world.create(window).await;
    let at: DateTime<Utc> = next(&task).parse().unwrap();
    let slot: DateTime<Utc> = "2026-11-29T23:00:00Z".parse().unwrap();
    let late = (at - slot).num_seconds();
    assert!((0..=1_800).contains(&late), "{task}");
    let again = world.update(&task, json!({"label": "Other"})).await;
    assert_eq!(next(&again), next(&task), "the same for the same slot");
    let plain = world.update(&task, json!({"jitter_secs": null, "window_from": null, "window_until": null})).await;
    assert_eq!(next(&plain), "2026-11-29T12:00:00Z");
}

#[tokio::test]
async fn editing_pausing_and_moving_lose_no_slot_and_owe_none_twice() {
    let world = World::new().await;
    let task = world.create(json!({"frequency": "daily", "time_to_run_at": "02:00"})).await;
    // Due a minute ago and nobody saw to it yet.
    world.sql("UPDATE backup_tasks SET next_run_at = '2026-11-29T10:59:00Z' WHERE id = $1", &task).await;
    let moved = world.update(&task, json!({"time_to_run_at": "05:00"})).await;
    assert_eq!(next(&moved), "2026-11-29T10:59:00Z", "it is still owed");
    let path = |act: &str| format!("/api/backup-tasks/{}/{act}", task["id"]);
    world.app.expect(&world.ann, ("POST", &path("pause")), Value::Null, 200).await;
    world.update(&task, json!({"timezone": "Europe/Berlin"})).await;
    let resumed = world.app.expect(&world.ann, ("POST", &path("resume")), Value::Null, 200).await;
    assert_eq!(next(&resumed["data"]), "2026-11-29T10:59:00Z", "and after a pause");
    // A slot before the pause whose start is later is owed too; one during the pause is not.
    let owed = "UPDATE backup_tasks SET next_slot_at = '2026-11-29T10:50:00Z', next_run_at = '2026-11-29T11:20:00Z'
                WHERE id = $1";
    world.sql(owed, &task).await;
    world.app.expect(&world.ann, ("POST", &path("pause")), Value::Null, 200).await;
    let resumed = world.app.expect(&world.ann, ("POST", &path("resume")), Value::Null, 200).await;
    assert_eq!(next(&resumed["data"]), "2026-11-29T11:20:00Z");
    let during = "UPDATE backup_tasks SET paused_at = '2026-11-29T10:00:00Z', next_slot_at = NULL,
                  next_run_at = '2026-11-29T10:30:00Z' WHERE id = $1";
    world.sql(during, &task).await;
    let resumed = world.app.expect(&world.ann, ("POST", &path("resume")), Value::Null, 200).await;
    assert_eq!(next(&resumed["data"]), "2026-11-30T04:00:00Z", "05:00 in Berlin");
    // An interval keeps its spacing whatever else is edited.
    let interval = world.create(json!({"frequency": "interval", "interval_secs": 25_200})).await;
    world.app.pass(TimeDelta::hours(1));
    let edited = world.update(&interval, json!({"label": "Every seven hours", "frequency": "interval"})).await;
    assert_eq!(next(&edited), next(&interval));
}

#[tokio::test]
async fn the_next_ten_runs_are_shown_of_a_task_and_of_a_draft() {
    let world = World::new().await;
    let schedule =
        json!({"frequency": "daily", "time_to_run_at": "02:30", "timezone": "Europe/Berlin", "jitter_secs": 900});
    let task = world.create(schedule.clone()).await;
    let path = format!("/api/backup-tasks/{}/schedule-preview", task["id"]);
    let shown = world.app.expect(&world.ann, ("GET", &path), Value::Null, 200).await["data"].clone();
    assert_eq!((shown["runs"].as_array().unwrap().len(), &shown["timezone"]), (10, &json!("Europe/Berlin")));
    let first = &shown["runs"][0];
    assert_eq!((&first["slot"], &first["zone_name"]), (&json!("2026-11-30T01:30:00Z"), &json!("CET")));
    assert_eq!(first["starts_at"], task["schedule"]["next_run_at"]);
    assert!(shown["jitter"].as_str().unwrap().contains("15 min") && shown["window"].is_null());
    // What is owed comes first.
    world
        .sql("UPDATE backup_tasks SET next_slot_at = NULL, next_run_at = '2026-11-29T10:59:00Z' WHERE id = $1", &task)
        .await;
    let shown = world.app.expect(&world.ann, ("GET", &path), Value::Null, 200).await["data"].clone();
    let slots: Vec<_> = shown["runs"].as_array().unwrap().iter().take(2).map(|run| run["slot"].clone()).collect();
    assert_eq!(slots, ["2026-11-29T10:59:00Z", "2026-11-30T01:30:00Z"]);

    let draft = ("POST", "/api/backup-tasks/schedule-preview");
    let shown = world.app.expect(&world.ann, draft, schedule, 200).await["data"].clone();
    assert_eq!(
        (&shown["runs"][0]["slot"], &shown["runs"][0]["starts_at"]),
        (&json!("2026-11-30T01:30:00Z"), &Value::Null)
    );
    let window = json!({"frequency": "hourly", "window_from": "23:00", "window_until": "01:00"});
    let shown = world.app.expect(&world.ann, draft, window, 200).await["data"].clone();
    assert_eq!(shown["runs"][2]["local_time"], "2026-11-30 23:00:00");
    assert!(shown["window"].as_str().unwrap().contains("23:00"));
    let manual = world.app.expect(&world.ann, draft, json!({"frequency": "manual"}), 200).await["data"].clone();
    assert_eq!(manual["runs"], json!([]));
    for (wrong, field) in [
        (json!({}), "frequency"),
        (json!({"frequency": "custom", "custom_cron_expression": "* * * * *"}), "custom_cron_expression"),
        (json!({"frequency": "daily", "time_to_run_at": "02:00", "label": "x"}), "label"),
    ] {
        let refused = world.app.expect(&world.ann, draft, wrong, 422).await;
        assert!(refused["errors"][field].is_array(), "{field}: {refused}");
    }
}
