//! Which worker executes a run is decided where the run is, not by who hears of it first.

use crate::harness::{Worker, World, taker};
use futures_util::StreamExt;
use holdfast_store::queue::{self, Job};
use holdfast_store::taking::Taker;
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use holdfast_worker::wakeups::Wakeups;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ALIVE: &str = "INSERT INTO workers (name, version, data_plane_url, store_ids, capacity)
                     VALUES ('holder', '0', 'http://127.0.0.1:1', $1, 1)
                     ON CONFLICT (name) DO UPDATE SET seen_at = now()";
const LISTENS: &str = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND query LIKE 'LISTEN %'";

impl World {
    /// A worker named "holder" lives and holds this store.
    pub async fn holder_is_alive(&self, store_id: &str) {
        sqlx::query(ALIVE).bind([store_id]).execute(&self.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_is_its_stores_holders_alone_while_that_one_lives() {
    let world = World::new().await;
    let holder = world.context(FaultPoints::none());
    world.hold(world.destination_id, &holder).await;
    let store = holder.store_ids();
    world.holder_is_alive(&store[0]).await;
    let run = world.insert_run(world.task_id).await;
    let others = ["another".to_owned()];
    let other = Taker { store_ids: &others, ..taker("other", 30.0) };
    assert_eq!(world.store.take_run(&taker("without", 30.0)).await.unwrap(), None);
    assert_eq!(world.store.take_run(&other).await.unwrap(), None);
    assert_eq!(world.run(run).await.epoch, 0, "nobody touched it");
    let taken = world.store.take_run(&Taker { store_ids: &store, ..taker("holder", 0.0) }).await.unwrap();
    assert_eq!(taken.map(|taken| taken.id), Some(run));
    // Its lease is over, and it lives: it is the one that goes on.
    assert_eq!(world.store.take_run(&other).await.unwrap(), None);
    sqlx::query("UPDATE workers SET seen_at = now() - interval '1 hour'").execute(&world.pool).await.unwrap();
    assert!(world.store.take_run(&other).await.unwrap().is_some(), "without a living holder anybody may find out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_wrong_worker_got_is_not_lost() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (holder, wrong) = (world.context(FaultPoints::none()), world.context_at(folder.path()));
    world.hold(world.destination_id, &holder).await;
    world.holder_is_alive(&holder.store_ids()[0]).await;
    let wrong = Worker::start(wrong).await;
    let run = world.queue_run().await;
    // The only job of it is used up by the worker that is always faster.
    let used = "SELECT count(*) FROM apalis.jobs WHERE status = 'Done' AND job_type = 'execute_run' AND $1 = 1";
    world.eventually("the job is delivered", async || world.count(used, 1).await == 1).await;
    assert_eq!(world.run(run).await.epoch, 0);
    let holder = Worker::start(holder).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.epoch, row.attempts), ("succeeded", 1, 1), "{:#?}", world.log(run).await);
    holder.stop().await;
    wrong.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test]
async fn a_copy_is_taken_by_whoever_reaches_both_ends() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    worker.stop().await;
    let holder = world.context(FaultPoints::none());
    let store = holder.store_ids();
    world.hold(world.destination_id, &holder).await;
    let second = world.add_destination("s3").await;
    sqlx::query(
        "INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state)
         SELECT team_id, id, $2, 'queued' FROM backups WHERE team_id = $1",
    )
    .bind(world.team_id)
    .bind(second)
    .execute(&world.pool)
    .await
    .unwrap();
    world.holder_is_alive(&store[0]).await;
    assert_eq!(world.store.take_copy(&taker("other", 30.0)).await.unwrap(), None);
    let taken = world.store.take_copy(&Taker { store_ids: &store, ..taker("holder", 0.0) }).await.unwrap();
    assert!(taken.is_some());
    sqlx::query("DELETE FROM workers").execute(&world.pool).await.unwrap();
    assert!(world.store.take_copy(&taker("other", 30.0)).await.unwrap().is_some(), "anybody may find out");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_runs_than_places_need_no_further_nudge() {
    let world = World::new().await;
    let source = serde_json::json!({"kind": "files", "paths": [world.tree]});
    let mut runs = vec![world.insert_run(world.task_id).await];
    for _ in 0..4 {
        runs.push(world.insert_run(world.add_task(source.clone()).await).await);
    }
    let worker =
        Worker::start(world.context_with(FaultPoints::none(), &[("HOLDFAST__WORKER__CONCURRENCY", "1")])).await;
    for run in runs {
        assert_eq!(world.until_over(run).await.status, "succeeded");
    }
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE job_type = 'execute_run' AND $1 = 1", 1).await, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_listens_and_comes_back() {
    let world = World::new().await;
    // As who listens: others may not look, nor end it.
    let same_login = sqlx::PgPool::connect_with(world.database.app_options()).await.unwrap();
    let listening = async || sqlx::query_scalar::<_, i64>(LISTENS).fetch_one(&same_login).await.unwrap();
    let (wakeups, stop) = (Wakeups::default(), CancellationToken::new());
    let mut woken = wakeups.of(queue::EXECUTE_RUN);
    let mut wake = async || tokio::time::timeout(Duration::from_secs(60), woken.next()).await.expect("is woken");
    let hear = async {
        wake().await;
        assert_eq!(listening().await, 1);
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'LISTEN %'";
        sqlx::query(end).execute(&same_login).await.unwrap();
        // What was said meanwhile is lost, so it wakes everybody.
        wake().await;
        world.eventually("it listens again", async || listening().await == 1).await;
        let run = world.insert_run(world.task_id).await;
        let tx = world.store.for_team(&world.access()).await.unwrap();
        queue::enqueue(&tx, Job::ExecuteRun(run, 1)).await.unwrap();
        tx.commit().await.unwrap();
        wake().await;
        stop.cancel();
    };
    tokio::join!(wakeups.listen(&world.store, &stop), hear);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_periodic_jobs_tell_of_their_rounds_and_one_runs_when_it_is_wanted() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let noted = "SELECT count(*) FROM reconcilers WHERE error IS NULL AND $1 = 1";
    world.eventually("many are told of", async || world.count(noted, 1).await >= 17).await;
    let purges = "SELECT count(*) FROM reconcilers WHERE name = 'purges' AND $1 = 1";
    world.eventually("this one too", async || world.count(purges, 1).await == 1).await;
    assert!(world.store.request_round("purges").await.unwrap());
    let forced = "SELECT count(*) FROM reconcilers WHERE name = 'purges' AND forced_at IS NOT NULL AND $1 = 1";
    world.eventually("it ran long before its interval", async || world.count(forced, 1).await == 1).await;
    worker.stop().await;
    assert_eq!(world.count("SELECT count(*) FROM draining_workers WHERE $1 = 1", 1).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_is_found_by_nobody_and_seen_until_it_is_gone() {
    let world = World::new().await;
    let (faults, hold) = FaultPoints::hold(FaultPoint::Streaming);
    let leaving = Worker::start(world.context_with(faults, &[("HOLDFAST__WORKER__DRAIN_TIMEOUT_SECS", "60")])).await;
    let run = world.queue_run().await;
    hold.reached().await;
    leaving.soft.cancel();
    let rows = async |sql: &'static str| world.count(sql, 1).await;
    world.eventually("it drains", async || rows("SELECT count(*) FROM draining_workers WHERE $1 = 1").await == 1).await;
    assert_eq!(rows("SELECT count(*) FROM workers WHERE $1 = 1").await, 0);
    hold.release();
    leaving.stop().await;
    assert_eq!(rows("SELECT count(*) FROM draining_workers WHERE $1 = 1").await, 0);
    assert_eq!(world.run(run).await.status, "succeeded");
}
