//! Copies of the own database whose making goes wrong: nothing of them stays, and the row says how they ended. That a
//! whole one comes back is seen from outside (`holdfast/tests/outside/own_backups.rs`).

use crate::harness::World;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::ids::OwnBackupId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_worker::WorkerContext;
use holdfast_worker::jobs::make_own_backup::make_own_backup;
use holdfast_worker::own_database::OwnDatabase;
use holdfast_worker::reconcile::stray_own_backups::reconcile;
use sqlx::Row;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

const LIMIT: Duration = Duration::from_secs(20);

/// Gives one piece, waits to be let on, and ends as it was told.
struct Broken {
    begun: Semaphore,
    go_on: Semaphore,
    ends_well: bool,
}

impl Broken {
    fn new(ends_well: bool) -> Arc<Self> {
        Arc::new(Self { begun: Semaphore::new(0), go_on: Semaphore::new(0), ends_well })
    }
}

#[async_trait]
impl OwnDatabase for Broken {
    async fn copy(&self, _: &[String], out: mpsc::Sender<Bytes>) -> Result<(), Failure> {
        out.send(Bytes::from_static(b"one piece")).await.unwrap();
        self.begun.add_permits(1);
        self.go_on.acquire().await.unwrap().forget();
        if self.ends_well {
            return Ok(());
        }
        Err(Failure::new(Step::Stream, FailureCode::OwnDatabaseFailed, "It broke."))
    }
}

async fn queued(world: &World) -> OwnBackupId {
    let sql = "INSERT INTO own_backups (team_id, backup_destination_id, recipients, object_name)
               VALUES ($1, $2, '{age1x}', 'own.age') RETURNING id";
    let row = sqlx::query(sql).bind(world.team_id).bind(world.destination_id).fetch_one(&world.pool);
    OwnBackupId(row.await.unwrap().get(0))
}

/// Status, code, and whether something may be left.
async fn ended(world: &World, id: OwnBackupId) -> (String, Option<String>, bool) {
    let sql = "SELECT status, error_code, has_object FROM own_backups WHERE id = $1";
    let row = sqlx::query(sql).bind(id.0).fetch_one(&world.pool).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

fn objects(world: &World) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![world.root.path().to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with("own.age") {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

/// A copy under way.
async fn under_way(world: &World, own: &Arc<Broken>) -> (Arc<WorkerContext>, OwnBackupId, tokio::task::JoinHandle<()>) {
    let context = world.context_copying(own.clone());
    let id = queued(world).await;
    let job = tokio::spawn(make_own_backup(context.clone(), id));
    own.begun.acquire().await.unwrap().forget();
    (context, id, job)
}

fn failed(code: FailureCode) -> (String, Option<String>, bool) {
    ("failed".to_owned(), Some(code.as_str().to_owned()), false)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_breaks_leaves_nothing() {
    let world = World::new().await;
    let own = Broken::new(false);
    let (_context, id, job) = under_way(&world, &own).await;
    own.go_on.add_permits(1);
    job.await.unwrap();
    assert_eq!(ended(&world, id).await, failed(FailureCode::OwnDatabaseFailed));
    assert!(objects(&world).is_empty(), "{:?}", objects(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_reading_log_in_says_so() {
    let world = World::new().await;
    let id = queued(&world).await;
    make_own_backup(world.context(holdfast_worker::faults::FaultPoints::none()), id).await;
    assert_eq!(ended(&world, id).await, failed(FailureCode::OwnDatabaseClosed));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_left_is_removed_and_its_copy_ended() {
    let world = World::new().await;
    let own = Broken::new(true);
    let (context, id, job) = under_way(&world, &own).await;
    let is_written = Instant::now();
    while objects(&world).is_empty() {
        assert!(is_written.elapsed() < LIMIT, "nothing was begun");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its task is gone in the middle of everything, as a process that is killed: nothing renews the lease.
    job.abort();
    let _aborted = job.await;
    let start = Instant::now();
    while ended(&world, id).await != failed(FailureCode::Abandoned) {
        assert!(start.elapsed() < LIMIT, "{:?}", ended(&world, id).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
        reconcile(&context).await.unwrap();
    }
    assert!(objects(&world).is_empty(), "{:?}", objects(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_too_late_is_removed_again() {
    let world = World::new().await;
    let own = Broken::new(true);
    let (_context, id, job) = under_way(&world, &own).await;
    // As another worker's round does it, and it finds nothing to remove yet.
    let end = "UPDATE own_backups SET status = 'failed', error_code = 'abandoned', has_object = false WHERE id = $1";
    sqlx::query(end).bind(id.0).execute(&world.pool).await.unwrap();
    own.go_on.add_permits(1);
    job.await.unwrap();
    assert_eq!(ended(&world, id).await, failed(FailureCode::Abandoned));
    assert!(objects(&world).is_empty(), "{:?}", objects(&world));
}
