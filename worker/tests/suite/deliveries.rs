//! From what became true to what a receiver got: a real Postgres, a whole worker and a listener on loopback.

use crate::harness::{Worker, World};
use crate::listener::{Listener, add_stream};
use holdfast_domain::ids::{BackupTaskId, DeliveryId};
use holdfast_domain::notification::{EventKind, Message};
use holdfast_domain::telling::About;
use holdfast_store::repositories::deliveries::ClaimRule;
use holdfast_worker::faults::FaultPoints;
use serde_json::json;
use sqlx::Row;

const NOWHERE: &str =
    "UPDATE backup_tasks SET source = '{\"kind\":\"files\",\"paths\":[\"/nowhere/at/all\"]}' WHERE id = $1";

pub async fn change(world: &World, sql: &'static str, id: i64) {
    sqlx::query(sql).bind(id).execute(&world.pool).await.unwrap();
}

/// Announces something of the world's task, as whoever makes it true does.
async fn announce(world: &World, event: EventKind, id: &str) -> usize {
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let about = About::Task(BackupTaskId(world.task_id));
    let message = tx.outbox().message(about, id.to_owned()).await.unwrap();
    let count = tx.outbox().announce(about, &[event], &message).await.unwrap();
    tx.commit().await.unwrap();
    count
}

async fn state(world: &World, stream: i64) -> (String, i32, Option<String>) {
    let sql =
        "SELECT state, attempts, error_code FROM deliveries WHERE notification_stream_id = $1 ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(stream).fetch_one(&world.pool).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn until_state(world: &World, stream: i64, wanted: &str) -> (String, i32, Option<String>) {
    world.eventually(&format!("a delivery is {wanted}"), async || state(world, stream).await.0 == wanted).await;
    state(world, stream).await
}

#[tokio::test]
async fn a_run_is_told_from_its_start_to_its_end_with_everything_that_is_known() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["started", "success", "failure", "recovered"], Some(world.task_id)).await;
    let settings = [("HOLDFAST__HTTP__PUBLIC_URL", "https://backup.example.com/")];
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    change(&world, NOWHERE, world.task_id).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "failed");
    listener.until(&world, 2).await;
    let source = json!({"kind": "files", "paths": [world.tree]});
    sqlx::query("UPDATE backup_tasks SET source = $2 WHERE id = $1")
        .bind(world.task_id)
        .bind(source)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    listener.until(&world, 4).await;
    worker.stop().await;
    let got = listener.got();
    let mut types: Vec<_> = got.iter().map(|got| got.body["type"].as_str().unwrap().to_owned()).collect();
    types.sort();
    assert_eq!(types, ["failure", "recovered", "started", "started"]);
    let of = |kind: &str| &got.iter().find(|got| got.body["type"] == kind).unwrap().body["data"];
    let failure = of("failure");
    assert_eq!(failure["title"], "task failed");
    assert_eq!(
        (&failure["task"], &failure["server"], &failure["state"]),
        (&json!("task"), &json!("server"), &json!("failed"))
    );
    assert_eq!(failure["destinations"], json!(["destination: nothing stored"]));
    assert!(failure["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{failure}");
    assert_eq!(failure["link"], format!("https://backup.example.com/backup-tasks/{}", world.task_id));
    let recovered = of("recovered");
    assert_eq!(recovered["destinations"], json!(["destination: stored"]));
    assert!(recovered["size_bytes"].as_u64().unwrap() > 1_000_000, "{recovered}");
    assert!(recovered["duration_ms"].as_u64().is_some(), "{recovered}");
}

#[tokio::test]
async fn a_stream_hears_what_it_chose_of_the_tasks_it_is_attached_to() {
    let world = World::new().await;
    let listener = Listener::start().await;
    let attached = add_stream(&world, &listener, &["failure"], Some(world.task_id)).await;
    let team_wide = add_stream(&world, &listener, &["failure", "success"], None).await;
    let other = world.add_task(json!({"kind": "files", "paths": ["/"]})).await;
    let elsewhere = add_stream(&world, &listener, &["failure", "overdue"], Some(other)).await;
    assert_eq!(announce(&world, EventKind::Failure, "a").await, 2);
    assert_eq!(announce(&world, EventKind::Success, "b").await, 1);
    // The alarm on absence is not asked for, and not refused.
    assert_eq!(announce(&world, EventKind::Overdue, "c").await, 2);
    // Announced again: told already.
    assert_eq!(announce(&world, EventKind::Overdue, "c").await, 0);
    let counts = "SELECT count(*) FROM deliveries WHERE notification_stream_id = $1";
    let mut found = Vec::new();
    for stream in [attached, team_wide, elsewhere] {
        found.push(world.count(counts, stream).await);
    }
    assert_eq!(found, [2, 3, 0]);
}

#[tokio::test]
async fn an_overdue_task_that_no_stream_hears_of_is_mailed_to_the_owner() {
    let world = World::new().await;
    assert_eq!(announce(&world, EventKind::Failure, "a").await, 0);
    assert_eq!(announce(&world, EventKind::Overdue, "b").await, 1);
    let mailed = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND class = 'absence' AND event = 'overdue'";
    assert_eq!(world.count(mailed, world.user_id).await, 1);
}

#[tokio::test]
async fn a_failing_receiver_is_tried_again_with_the_same_id_and_the_run_is_none_the_worse() {
    let world = World::new().await;
    let listener = Listener::start().await;
    listener.answer(&[503]);
    let stream = add_stream(&world, &listener, &["success"], None).await;
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    world.eventually("the first try is noted", async || state(&world, stream).await.2.is_some()).await;
    assert_eq!(state(&world, stream).await, ("pending".into(), 1, Some("receiver_failing".into())));
    let waits =
        "SELECT count(*) FROM deliveries WHERE notification_stream_id = $1 AND not_before > now() + interval '8 s'";
    assert_eq!(world.count(waits, stream).await, 1);
    change(
        &world,
        "UPDATE deliveries SET not_before = now() - interval '1 hour' WHERE notification_stream_id = $1",
        stream,
    )
    .await;
    assert_eq!(until_state(&world, stream, "sent").await, ("sent".into(), 2, None));
    worker.stop().await;
    let got = listener.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].id, got[1].id);
}

#[tokio::test]
async fn a_receiver_may_ask_for_a_longer_pause() {
    let world = World::new().await;
    let listener = Listener::start().await;
    listener.answer(&[429]);
    let stream = add_stream(&world, &listener, &["failure"], None).await;
    announce(&world, EventKind::Failure, "a").await;
    let worker = world.worker(FaultPoints::none()).await;
    world.eventually("the first try is noted", async || state(&world, stream).await.2.is_some()).await;
    worker.stop().await;
    // The listener's Retry-After is 3000 s.
    let waits = "SELECT count(*) FROM deliveries WHERE notification_stream_id = $1 AND error_code = 'rate_limited'
                 AND not_before > now() + interval '2900 s' AND not_before < now() + interval '3001 s'";
    assert_eq!(world.count(waits, stream).await, 1);
}

#[tokio::test]
async fn what_cannot_arrive_is_dead_at_once_and_what_never_does_in_the_end() {
    let world = World::new().await;
    let listener = Listener::start().await;
    listener.answer(&[401]);
    let stream = add_stream(&world, &listener, &["success"], None).await;
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    assert_eq!(until_state(&world, stream, "dead").await, ("dead".into(), 1, Some("refused".into())));
    listener.answer(&[503]);
    change(&world, "UPDATE deliveries SET state = 'pending', attempts = 7 WHERE notification_stream_id = $1", stream)
        .await;
    change(
        &world,
        "UPDATE deliveries SET not_before = now() - interval '1 hour' WHERE notification_stream_id = $1",
        stream,
    )
    .await;
    assert_eq!(until_state(&world, stream, "dead").await, ("dead".into(), 8, Some("receiver_failing".into())));
    worker.stop().await;
}

#[tokio::test]
async fn two_workers_deliver_each_message_once() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["failure"], None).await;
    let (one, two) = (world.worker(FaultPoints::none()).await, world.worker(FaultPoints::none()).await);
    for n in 0..30 {
        announce(&world, EventKind::Failure, &format!("message_{n}")).await;
    }
    // Nudged twice while they are at it.
    sqlx::query("UPDATE apalis.jobs SET status = 'Pending' WHERE job_type = 'send_delivery' AND status = 'Done'")
        .execute(&world.pool)
        .await
        .unwrap();
    let sent = "SELECT count(*) FROM deliveries WHERE state = 'sent' AND team_id = $1";
    world.eventually("all are sent", async || world.count(sent, world.team_id).await == 30).await;
    one.stop().await;
    two.stop().await;
    let mut ids: Vec<_> = listener.got().into_iter().map(|got| got.id).collect();
    assert_eq!(ids.len(), 30);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 30);
}

#[tokio::test]
async fn nothing_is_lost_between_the_commit_and_the_delivery_and_nothing_told_that_was_not_committed() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["failure"], None).await;
    // The queue lost its job.
    announce(&world, EventKind::Failure, "queue_lost_it").await;
    sqlx::query("DELETE FROM apalis.jobs").execute(&world.pool).await.unwrap();
    change(&world, "UPDATE deliveries SET not_before = now() - interval '1 minute' WHERE team_id = $1", world.team_id)
        .await;
    // The worker died after its claim.
    announce(&world, EventKind::Failure, "worker_died").await;
    let id = world.count("SELECT max(id) FROM deliveries WHERE team_id = $1", world.team_id).await;
    let rule = ClaimRule { lease_secs: 0.5, max_attempts: 8, usual_per_hour: 0 };
    assert!(world.store.claim_delivery(DeliveryId(id), "dead", rule).await.unwrap().is_some());
    assert!(world.store.claim_delivery(DeliveryId(id), "another", rule).await.unwrap().is_none());
    sqlx::query("DELETE FROM apalis.jobs").execute(&world.pool).await.unwrap();
    // Never committed.
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let about = About::Task(BackupTaskId(world.task_id));
    let message = Message { title: "never".into(), ..tx.outbox().message(about, "never".into()).await.unwrap() };
    assert_eq!(tx.outbox().announce(about, &[EventKind::Failure], &message).await.unwrap(), 1);
    drop(tx);
    let worker = world.worker(FaultPoints::none()).await;
    listener.until(&world, 2).await;
    worker.stop().await;
    let mut ids: Vec<_> = listener.got().into_iter().map(|got| got.id).collect();
    ids.sort();
    assert_eq!(ids, ["queue_lost_it", "worker_died"]);
}

#[tokio::test]
async fn an_outbox_that_cannot_be_written_does_not_change_a_run() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["started", "success"], None).await;
    let worker = world.worker(FaultPoints::none()).await;
    sqlx::query("ALTER TABLE deliveries ADD CONSTRAINT never CHECK (event <> 'success')")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    assert_eq!(world.backups().await, 1);
    listener.until(&world, 1).await;
    worker.stop().await;
    world.assert_no_residue().await;
    assert_eq!(world.count("SELECT count(*) FROM deliveries WHERE team_id = $1", world.team_id).await, 1);
}
