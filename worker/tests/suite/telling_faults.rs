//! Receivers in trouble: what is told of is none the worse, and what did not arrive is seen and sent again.

use crate::deliveries::change;
use crate::harness::World;
use crate::listener::{Listener, Manner, add_stream};
use crate::telling_events::{a_success, every_event, told_of_runs};
use holdfast_domain::ids::{BackupRunId, DeliveryId};
use holdfast_store::repositories::PageRequest;
use holdfast_store::repositories::deliveries::DeliveryFilter;
use holdfast_worker::faults::FaultPoints;
use std::time::{Duration, Instant};

/// Tries of a message, as `send_delivery` counts them.
const TRIES: i32 = 8;

/// Everything that is recorded of a run and its backup.
async fn recorded(world: &World, run: BackupRunId) -> serde_json::Value {
    let sql = "SELECT jsonb_build_object('run', to_jsonb(r), 'backup', (SELECT to_jsonb(b) FROM backups b
               WHERE b.backup_run_id = r.id)) FROM backup_runs r WHERE r.id = $1";
    sqlx::query_scalar(sql).bind(run.0).fetch_one(&world.pool).await.unwrap()
}

async fn delivery(world: &World, id: DeliveryId) -> (String, i32, Option<String>) {
    let sql = "SELECT state, attempts, error_code FROM deliveries WHERE id = $1";
    sqlx::query_as(sql).bind(id.0).fetch_one(&world.pool).await.unwrap()
}

async fn until_tried(world: &World, id: DeliveryId, tries: i32) -> (String, i32, Option<String>) {
    let started = Instant::now();
    loop {
        let row = delivery(world, id).await;
        if row.1 >= tries && row.0 != "sending" {
            return row;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{row:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ids of those that are dead, as the list of the api shows them.
async fn dead(world: &World) -> Vec<DeliveryId> {
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let filter = DeliveryFilter { state: Some("dead".to_owned()), ..DeliveryFilter::default() };
    let page = PageRequest { offset: 0, limit: 10, newest_first: false, by_label: false };
    let listed = tx.deliveries().list(page, &filter).await.unwrap();
    listed.rows.into_iter().map(|row| DeliveryId(row.id)).collect()
}

/// A run whose end cannot be told because the receiver behaves like that, tries from `first_try` on.
async fn a_run_beside(manner: Manner, first_try: i32, code: &str) {
    let world = World::new().await;
    let listener = Listener::start().await;
    listener.behave([manner; TRIES as usize]);
    add_stream(&world, &listener, &["success"], None).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    let before = recorded(&world, run).await;
    let id = DeliveryId(world.count("SELECT max(id) FROM deliveries WHERE team_id = $1", world.team_id).await);
    let noted = Some(code.to_owned());
    assert_eq!(until_tried(&world, id, 1).await, ("pending".to_owned(), 1, noted.clone()), "{manner:?}");
    let skipped = "UPDATE deliveries SET attempts = $2 WHERE id = $1";
    sqlx::query(skipped).bind(id.0).bind(first_try - 1).execute(&world.pool).await.unwrap();
    for attempt in first_try..=TRIES {
        change(&world, "UPDATE deliveries SET not_before = now() - interval '1 hour' WHERE id = $1", id.0).await;
        let state = if attempt == TRIES { "dead" } else { "pending" };
        assert_eq!(until_tried(&world, id, attempt).await, (state.to_owned(), attempt, noted.clone()), "{manner:?}");
    }
    assert_eq!(dead(&world).await, [id]);
    // Others go on meanwhile, and it is repaired by asking.
    let tried = listener.got().len();
    listener.forgive();
    let tx = world.store.for_team(&world.access()).await.unwrap();
    assert!(tx.deliveries().resend(id).await.unwrap().is_some());
    tx.commit().await.unwrap();
    listener.until(&world, tried + 1).await;
    assert_eq!(until_tried(&world, id, 1).await, ("sent".to_owned(), 1, None));
    worker.stop().await;
    let ids: Vec<_> = listener.got().into_iter().map(|got| got.id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(recorded(&world, run).await, before, "{manner:?}");
    assert!(dead(&world).await.is_empty());
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_changes_no_run_and_its_message_is_dead_after_its_tries_and_sent_when_asked() {
    a_run_beside(Manner::Status(500), 2, "receiver_failing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_up_changes_no_run_and_its_message_is_dead_after_its_tries_and_sent_when_asked() {
    a_run_beside(Manner::HangUp, 2, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_changes_no_run_and_its_message_is_dead_after_its_tries_and_sent_when_asked() {
    a_run_beside(Manner::Hang, TRIES, "unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_keeps_no_other_from_its_messages_and_no_run_from_its_end() {
    let world = World::new().await;
    let (stuck, listener) = (Listener::start().await, Listener::start().await);
    stuck.behave([Manner::Hang; 100]);
    add_stream(&world, &stuck, &every_event(), None).await;
    add_stream(&world, &listener, &every_event(), None).await;
    let worker = world.worker(FaultPoints::none()).await;
    for _ in 0..3 {
        assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    }
    listener.until(&world, 6).await;
    let hanging = "SELECT count(*) FROM deliveries WHERE team_id = $1 AND state IN ('sending', 'pending')";
    assert!(world.count(hanging, world.team_id).await >= 1, "one receiver still hangs");
    // Each was told to both.
    let told: Vec<_> = std::iter::repeat_n(a_success(), 3).flatten().collect();
    let mut got = told_of_runs(&world).await;
    assert_eq!(got.len(), 12);
    got.dedup();
    assert_eq!(got, told);
    worker.stop().await;
}
