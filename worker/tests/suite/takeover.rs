//! Workers that die, sleep, lose their database or shut down: another one ends the run, once.

use crate::harness::{Worker, World};
use crate::listener::{Listener, add_stream};
use crate::process::WorkerProcess;
use crate::telling_events::{a_success, every_event, told_of_runs};
use holdfast_domain::ids::BackupRunId;
use holdfast_testbed::postgres::Cluster;
use holdfast_worker::faults::{FaultPoint, FaultPoints};

/// As if the worker that has the run had been stopped for longer than its lease: somebody else claims it.
async fn claim_behind_its_back(world: &World, run: BackupRunId) {
    let mut tx = world.pool.begin().await.unwrap();
    let expire = "UPDATE backup_runs SET lease_until = now() - interval '1 s' WHERE id = $1";
    sqlx::query(expire).bind(run.0).execute(&mut *tx).await.unwrap();
    let claim = "SELECT count(*) FROM claim_backup_run($1, 'other', 1, 9)";
    let claimed: i64 = sqlx::query_scalar(claim).bind(run.0).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(claimed, 1);
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_wakes_after_its_lease_commits_nothing() {
    for point in [FaultPoint::Streaming, FaultPoint::Stored, FaultPoint::ManifestWritten] {
        let world = World::new().await;
        let listener = Listener::start().await;
        add_stream(&world, &listener, &every_event(), None).await;
        let (faults, hold) = FaultPoints::hold(point);
        let sleeper = world.worker(faults).await;
        let run = world.queue_run().await;
        hold.reached().await;
        claim_behind_its_back(&world, run).await;
        // It wakes at once, before its keeper has looked: only the database stands in its way.
        hold.release();
        sleeper.stop().await;
        let awake = world.worker(FaultPoints::none()).await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.epoch), ("succeeded", 3), "{point:?} {row:#?}");
        assert_eq!(world.backups().await, 1);
        let epoch = "SELECT (manifest->>'epoch')::bigint FROM backups WHERE backup_run_id = $1";
        assert_eq!(world.count(epoch, run.0).await, 3);
        assert_eq!(told_of_runs(&world).await, a_success(), "{point:?}");
        awake.stop().await;
        world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_run_is_taken_up_wherever_it_was_killed() {
    for point in FaultPoint::ALL {
        let world = World::new().await;
        let listener = Listener::start().await;
        add_stream(&world, &listener, &every_event(), None).await;
        let run = world.queue_run().await;
        let process = WorkerProcess::start(&world, point.name());
        process.until_killed().await;
        let heir = world.worker(FaultPoints::none()).await;
        let row = world.until_over(run).await;
        assert_eq!(row.status, "succeeded", "{point:?} {row:#?} {:#?}", world.log(run).await);
        let attempts = if point == FaultPoint::Committed { 1 } else { 2 };
        assert_eq!((row.attempts, world.backups().await), (attempts, 1), "{point:?}");
        assert_eq!(told_of_runs(&world).await, a_success(), "{point:?}");
        world.assert_no_residue().await;
        heir.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_hands_its_run_over() {
    let world = World::new().await;
    let (faults, hold) = FaultPoints::hold(FaultPoint::Streaming);
    let leaving = world.worker(faults).await;
    let run = world.queue_run().await;
    hold.reached().await;
    leaving.soft.cancel();
    // Longer than `drain_timeout_secs`.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let staying = world.worker(FaultPoints::none()).await;
    hold.release();
    leaving.stop().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.epoch), ("succeeded", 2), "{row:#?}");
    assert_eq!(row.attempts, 1, "a shutdown costs no attempt");
    staying.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_shuts_down_lets_short_work_end() {
    let world = World::new().await;
    let (faults, hold) = FaultPoints::hold(FaultPoint::Streaming);
    let leaving = world.worker(faults).await;
    let run = world.queue_run().await;
    hold.reached().await;
    leaving.soft.cancel();
    hold.release();
    leaving.stop().await;
    let row = world.run(run).await;
    assert_eq!((row.status.as_str(), row.epoch), ("succeeded", 1), "{row:#?}");
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_database_costs_nothing() {
    let cluster = Cluster::start().await.unwrap();
    let database = cluster.database().await.unwrap();
    // The testbed's clusters forget their last transactions in a crash; a real one does not.
    let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
    sqlx::raw_sql(sqlx::AssertSqlSafe(durable)).execute(&database.owner_pool().await.unwrap()).await.unwrap();
    let world = World::on(database).await;
    for point in [FaultPoint::Streaming, FaultPoint::ManifestWritten] {
        let (faults, hold) = FaultPoints::hold(point);
        let context = world.context_with(faults, &[("HOLDFAST__WORKER__LEASE_SECS", "30")]);
        let worker = Worker::start(context).await;
        let run = world.queue_run().await;
        hold.reached().await;
        cluster.crash_and_restart().await.unwrap();
        hold.release();
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.attempts), ("succeeded", 1), "{point:?} {row:#?}");
        let next = world.until_over(world.queue_run().await).await;
        assert_eq!((next.status.as_str(), next.attempts), ("succeeded", 1), "the queue goes on: {next:#?}");
        worker.stop().await;
        world.assert_no_residue().await;
    }
}
