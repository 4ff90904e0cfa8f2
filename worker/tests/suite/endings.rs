//! Runs that end without a backup: what they say, and that they leave nothing.

use crate::harness::{SmallDisk, World};
use holdfast_domain::ids::BackupRunId;
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use serde_json::json;

async fn request_cancel(world: &World, run: BackupRunId) {
    let sql = "UPDATE backup_runs SET cancel_requested_at = now() WHERE id = $1";
    sqlx::query(sql).bind(run.0).execute(&world.pool).await.unwrap();
}

async fn attempt_outcomes(world: &World, run: BackupRunId) -> Vec<Option<String>> {
    let sql = "SELECT outcome FROM backup_run_attempts WHERE backup_run_id = $1 ORDER BY epoch";
    sqlx::query_scalar(sql).bind(run.0).fetch_all(&world.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_at_every_step() {
    let world = World::new().await;
    for point in FaultPoint::ALL {
        let (faults, hold) = FaultPoints::hold(point);
        let worker = world.worker(faults).await;
        let run = world.queue_run().await;
        hold.reached().await;
        let before = world.backups().await;
        request_cancel(&world, run).await;
        // The keeper looks every half second here; the step goes on only when the token is cancelled.
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        hold.release();
        let row = world.until_over(run).await;
        if point == FaultPoint::Committed {
            assert_eq!(row.status, "succeeded", "a committed run stays what it is");
        } else {
            assert_eq!(row.status, "cancelled", "{point:?}: {row:#?} {:#?}", world.log(run).await);
            assert_eq!(world.backups().await, before, "{point:?}");
            assert_eq!(row.error_code.as_deref(), Some("cancelled"));
        }
        if point != FaultPoint::Committed {
            assert_eq!(row.process_terminated, Some(true), "{point:?}: nothing runs there, and somebody looked");
        }
        worker.stop().await;
        world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_that_no_worker_has_ends() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    world.claim(run, "gone", 0.0).await.unwrap();
    request_cancel(&world, run).await;
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(run).await.status, "cancelled");
    assert_eq!(world.backups().await, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_path_fails_at_once_and_says_what_to_do() {
    let world = World::new().await;
    let task = world.add_task(json!({"kind": "files", "paths": [world.tree, "/no/such/path"]})).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run_of(task).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("missing_path")), "{row:#?}");
    assert_eq!(row.attempts, 1, "nobody changes the path by trying again");
    let message = row.error_message.unwrap();
    assert!(message.starts_with("While ") && message.contains("/no/such/path"), "{message}");
    assert!(message.contains("Correct the task's paths"), "{message}");
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_trouble_is_tried_again_and_the_last_attempt_decides() {
    let world = World::new().await;
    sqlx::query("UPDATE remote_servers SET host = 'no-such-host.invalid' WHERE id = $1")
        .bind(world.server_id)
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("server_unknown")), "{row:#?}");
    assert_eq!((row.attempts, row.epoch), (3, 3));
    assert_eq!(attempt_outcomes(&world, run).await, [const { Some("failed") }; 3].map(|o| o.map(str::to_owned)));
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_panics_is_an_attempt() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::panic(FaultPoint::SourceEnded)).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref(), row.attempts), ("failed", Some("internal"), 3));
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_workers_all_die_is_abandoned() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    for worker in ["a", "b", "c"] {
        world.claim(run, worker, 0.0).await.unwrap();
    }
    assert!(world.claim(run, "d", 0.0).await.is_none(), "attempts are counted before work");
    let worker = world.worker(FaultPoints::none()).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref(), row.attempts), ("failed", Some("abandoned"), 3));
    let abandoned = vec![Some("abandoned".to_owned()); 3];
    assert_eq!(attempt_outcomes(&world, run).await, abandoned);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_confirmed_ends_the_run_before_logging_in() {
    let world = World::new().await;
    let context = world.context_with(FaultPoints::none(), &[("HOLDFAST__SSH__FIRST_CONTACT", "confirm")]);
    let worker = crate::harness::Worker::start(context).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.error_code.as_deref(), Some("host_key_unconfirmed"), "{row:#?}");
    assert_eq!(world.sshd.auth_attempts(), 0);
    let pending = "SELECT count(*) FROM remote_servers WHERE pending_host_key IS NOT NULL AND pinned_host_key IS NULL
                   AND id = $1";
    assert_eq!(world.count(pending, world.server_id).await, 1);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_without_its_keys_is_refused_before_connecting() {
    let world = World::new().await;
    sqlx::query("UPDATE backup_destinations SET type = 's3' WHERE id = $1")
        .bind(world.destination_id)
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("secret_unavailable")));
    assert_eq!((row.attempts, world.sshd.auth_attempts()), (1, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_before_the_run_started_is_not_touched() {
    let world = World::new().await;
    let run = world.queue_run().await;
    sqlx::query("UPDATE backup_tasks SET deleted_at = now()").execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("not_authorised")));
    assert_eq!(world.sshd.auth_attempts(), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_destination_fails_the_run_and_keeps_what_was_there() {
    let world = World::new().await;
    let disk = SmallDisk::mount(world.root.path(), "5m");
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    // A task without a backup before it: how much it needs is found out by writing.
    let task = world.add_task(json!({"kind": "files", "paths": [world.tree]})).await;
    let run = world.queue_run_of(task).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("destination_full")), "{row:#?}");
    assert_eq!((row.attempts, world.backups().await), (3, 1));
    worker.stop().await;
    world.assert_no_residue().await;
    drop(disk);
}
