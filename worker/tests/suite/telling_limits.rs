//! Caps, summaries and quiet mode.

use crate::harness::{Worker, World};
use crate::listener::{Listener, SECRET, add_hook, add_stream};
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::notification::EventKind;
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::telling::About;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::run_execution::RunEnding;
use holdfast_testbed::receivers::webhook::WebhookReceiver;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::reconcile;
use serde_json::json;

async fn announce(world: &World, event: EventKind, id: &str) {
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let about = About::Task(BackupTaskId(world.task_id));
    let message = tx.outbox().message(about, id.to_owned()).await.unwrap();
    assert_eq!(tx.outbox().announce(about, &[event], &message).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

/// Runs that fail, ended as a worker ends them.
async fn fail_runs(world: &World, count: usize) {
    let failure = Failure::new(Step::Connect, FailureCode::ConnectFailed, "Nobody listens.");
    let progress = Progress::default();
    for _ in 0..count {
        let run = world.insert_run(world.task_id).await;
        sqlx::query("UPDATE backup_runs SET status = 'running', epoch = 1, started_at = now() WHERE id = $1")
            .bind(run.0)
            .execute(&world.pool)
            .await
            .unwrap();
        let tx = world.store.for_team(&world.access()).await.unwrap();
        let ending = RunEnding { failure: &failure, progress: &progress, process_terminated: None };
        assert!(tx.run_execution(run, 1).end(RunStatus::Failed, &ending).await.unwrap());
        tx.commit().await.unwrap();
    }
}

async fn until_none_waits(world: &World) {
    let open = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending') AND team_id = $1";
    for _ in 0..3000 {
        if world.count(open, world.team_id).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("deliveries wait");
}

/// As if the time were over in which messages are gathered for a summary.
async fn gathered(world: &World) {
    let earlier = "UPDATE deliveries SET created_at = created_at - interval '10 minutes' WHERE state = 'summarised'";
    sqlx::query(earlier).execute(&world.pool).await.unwrap();
}

async fn in_state(world: &World, state: &str) -> i64 {
    let sql = "SELECT count(*) FROM deliveries WHERE team_id = $1 AND state = $2";
    sqlx::query_scalar(sql).bind(world.team_id).bind(state).fetch_one(&world.pool).await.unwrap()
}

#[tokio::test]
async fn a_thousand_failed_runs_stay_under_the_cap_and_are_told_in_one_summary() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["failure"], None).await;
    fail_runs(&world, 1000).await;
    let settings = [("HOLDFAST__LIMITS__NOTIFICATIONS_PER_HOUR", "6")];
    let one = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    let two = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    until_none_waits(&world).await;
    assert_eq!((in_state(&world, "sent").await, in_state(&world, "summarised").await), (5, 995));
    gathered(&world).await;
    listener.until(&world, 6).await;
    until_none_waits(&world).await;
    let got = listener.got();
    assert_eq!(got.len(), 6);
    let summary = &got[5].body;
    assert_eq!((&summary["type"], &summary["data"]["title"]), (&json!("message"), &json!("995 more events")));
    assert_eq!(summary["data"]["lines"], json!(["task failed (995 times)"]));
    // The cap is used up, and the alarm on absence is not.
    announce(&world, EventKind::Failure, "one_too_many").await;
    announce(&world, EventKind::Overdue, "overdue").await;
    listener.until(&world, 7).await;
    until_none_waits(&world).await;
    assert_eq!(listener.got()[6].id, "overdue");
    assert_eq!(in_state(&world, "summarised").await, 996);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_checking_receiver_takes_as_many_as_the_limit_and_one_summary_of_the_rest() {
    let world = World::new().await;
    let mut receiver = WebhookReceiver::start(&[SECRET]).await.unwrap();
    add_hook(&world, &format!("{}/hook", receiver.url()), &["failure"], None).await;
    fail_runs(&world, 20).await;
    let settings = [("HOLDFAST__LIMITS__NOTIFICATIONS_PER_HOUR", "4")];
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    for _ in 0..3 {
        let message = receiver.message().await.unwrap();
        assert_eq!((&message["type"], &message["data"]["title"]), (&json!("failure"), &json!("task failed")));
    }
    until_none_waits(&world).await;
    gathered(&world).await;
    let summary = receiver.message().await.unwrap();
    assert_eq!((&summary["type"], &summary["data"]["title"]), (&json!("message"), &json!("17 more events")));
    assert_eq!(summary["data"]["lines"], json!(["task failed (17 times)"]));
    until_none_waits(&world).await;
    // The next summary comes an hour after this one at the earliest.
    fail_runs(&world, 2).await;
    until_none_waits(&world).await;
    gathered(&world).await;
    reconcile::deliveries::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    let all = "SELECT count(*) FROM deliveries WHERE team_id = $1 AND class = 'summary'";
    assert_eq!(world.count(all, world.team_id).await, 1);
    assert_eq!((in_state(&world, "sent").await, in_state(&world, "summarised").await), (4, 19));
    worker.stop().await;
}

#[tokio::test]
async fn a_teams_own_limit_counts_and_zero_is_none() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["failure"], None).await;
    fail_runs(&world, 6).await;
    sqlx::query("INSERT INTO team_limits (team_id, limits) VALUES ($1, '{\"notifications_per_hour\": 0}')")
        .bind(world.team_id)
        .execute(&world.pool)
        .await
        .unwrap();
    let settings = [("HOLDFAST__LIMITS__NOTIFICATIONS_PER_HOUR", "2")];
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    listener.until(&world, 6).await;
    worker.stop().await;
}

#[tokio::test]
async fn quiet_mode_holds_back_everything_but_the_alarm_on_absence_and_ends_by_itself() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["failure"], None).await;
    let quiet = "INSERT INTO notification_settings (team_id, quiet_until) VALUES ($1, now() + interval '1 hour')";
    sqlx::query(quiet).bind(world.team_id).execute(&world.pool).await.unwrap();
    announce(&world, EventKind::Failure, "quiet").await;
    announce(&world, EventKind::Overdue, "overdue").await;
    let worker = world.worker(FaultPoints::none()).await;
    until_none_waits(&world).await;
    assert_eq!((in_state(&world, "suppressed").await, in_state(&world, "sent").await), (1, 1));
    sqlx::query("UPDATE notification_settings SET quiet_until = now()").execute(&world.pool).await.unwrap();
    announce(&world, EventKind::Failure, "loud").await;
    listener.until(&world, 2).await;
    worker.stop().await;
    let ids: Vec<_> = listener.got().into_iter().map(|got| got.id).collect();
    assert_eq!(ids, ["overdue", "loud"]);
}
