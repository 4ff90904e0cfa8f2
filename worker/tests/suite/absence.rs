//! An absence is over when a success comes, and only then.

use crate::harness::{Worker, World};
use crate::listener::{Listener, add_stream};
use holdfast_testbed::smtp::Smtp;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::reconcile::absence;

/// Overdue since yesterday's 03:00.
const OVERDUE: &str = "UPDATE backup_tasks SET frequency = 'daily', time_to_run_at = '03:00' WHERE id = $1";
const MISSED: &str =
    "UPDATE backup_tasks SET next_success_expected_by = now() - interval '1 hour', is_expectation_due = false
                      WHERE id = $1";
const IS_OVERDUE: &str = "SELECT count(*) FROM backup_tasks WHERE overdue_since IS NOT NULL AND id = $1";
const IS_EXPECTED: &str = "SELECT count(*) FROM backup_tasks
                           WHERE next_success_expected_by > now() AND NOT is_expectation_due AND id = $1";

async fn set(world: &World, sql: &'static str) {
    sqlx::query(sql).bind(world.task_id).execute(&world.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_ends_an_absence_and_a_failure_does_not() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    let listener = Listener::start().await;
    // It chose neither the alarm nor its end, and hears of both.
    add_stream(&world, &listener, &["failure"], Some(world.task_id)).await;
    set(&world, OVERDUE).await;
    set(&world, MISSED).await;
    absence::reconcile(&context).await.unwrap();
    absence::reconcile(&context).await.unwrap();
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 1);

    let worker = world.worker(FaultPoints::none()).await;
    let hidden = world.tree.with_extension("away");
    std::fs::rename(&world.tree, &hidden).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "failed");
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 1);

    std::fs::rename(&hidden, &world.tree).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 0);
    listener.until(&world, 3).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    worker.stop().await;
    let got = listener.got();
    let mut types: Vec<_> = got.iter().map(|got| got.body["type"].as_str().unwrap()).collect();
    types.sort_unstable();
    assert_eq!(types, ["failure", "overdue", "recovered"]);
    let of = |kind: &str| &got.iter().find(|got| got.body["type"] == kind).unwrap().body["data"];
    let overdue = of("overdue");
    assert_eq!((&overdue["title"], &overdue["task"]), (&"task is overdue".into(), &"task".into()));
    let reason = overdue["reason"].as_str().unwrap();
    assert!(reason.starts_with("No success came by 2") && reason.ends_with("(UTC). There never was one."), "{reason}");
    assert_eq!(of("recovered")["lines"], serde_json::json!(["It was overdue."]));
    absence::reconcile(&context).await.unwrap();
    assert_eq!(world.count(IS_EXPECTED, world.task_id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_mode_and_a_team_without_streams_keep_neither_the_alarm_nor_its_end_from_the_owner() {
    let world = World::new().await;
    let mut mails = Smtp::start().await.unwrap();
    let port = mails.port().to_string();
    let settings = [
        ("HOLDFAST__MAIL__HOST", "127.0.0.1"),
        ("HOLDFAST__MAIL__PORT", &port),
        ("HOLDFAST__MAIL__TLS", "none"),
        ("HOLDFAST__MAIL__FROM", "Holdfast <backup@example.com>"),
    ];
    let quiet = "INSERT INTO notification_settings (team_id, quiet_until) VALUES ($1, now() + interval '1 day')";
    sqlx::query(quiet).bind(world.team_id).execute(&world.pool).await.unwrap();
    set(&world, OVERDUE).await;
    set(&world, MISSED).await;
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    let mail = mails.mail().await.unwrap();
    assert!(mail.contains("Subject: task is overdue") && mail.contains("There never was one."), "{mail}");
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    let mail = mails.mail().await.unwrap();
    assert!(mail.contains("Subject: task works again") && mail.contains("It was overdue."), "{mail}");
    worker.stop().await;
}
