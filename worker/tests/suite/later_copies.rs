//! Copies made later, from a copy that exists.

use crate::harness::{Worker, World, taker};
use crate::several::assert_same_bytes;
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupId};
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use std::path::PathBuf;

/// The columns that these tests look at.
#[derive(Debug, sqlx::FromRow)]
struct CopyRow {
    id: i64,
    state: String,
    epoch: i32,
    attempts: i32,
    verified_level: Option<i16>,
    error_code: Option<String>,
    error_message: Option<String>,
}

/// A world whose task has one good copy, and none at `second`.
struct Scene {
    world: World,
    second: i64,
    backup: BackupId,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let worker = world.worker(FaultPoints::none()).await;
        let run = world.queue_run().await;
        assert_eq!(world.until_over(run).await.status, "succeeded");
        worker.stop().await;
        let second = world.add_destination("local").await;
        let backup = BackupId(world.count("SELECT id FROM backups WHERE backup_run_id = $1", run.0).await);
        Self { world, second, backup }
    }

    /// As the api does; whether there was something to do.
    async fn request(&self) -> bool {
        let tx = self.world.store.for_team(&self.world.access()).await.unwrap();
        let destination = BackupDestinationId(self.second);
        let is_queued = tx.copy_requests().request(self.backup, destination, None).await.unwrap();
        tx.commit().await.unwrap();
        is_queued
    }

    async fn copy(&self) -> CopyRow {
        let row = sqlx::query_as("SELECT * FROM backup_copies WHERE backup_id = $1 AND backup_destination_id = $2");
        row.bind(self.backup.0).bind(self.second).fetch_one(&self.world.pool).await.unwrap()
    }

    async fn until_over(&self) -> CopyRow {
        let over = async || !["queued", "running"].contains(&self.copy().await.state.as_str());
        self.world.eventually("the copy ends", over).await;
        self.copy().await
    }

    async fn files(&self) -> Vec<PathBuf> {
        let folder = self.world.folder_of(self.second).await;
        if folder.is_dir() { crate::harness::files_below(&folder) } else { Vec::new() }
    }

    async fn until_clean(&self) {
        self.world.eventually("nothing of it lies there", async || self.files().await.is_empty()).await;
        let recorded = "SELECT count(*) FROM backup_copy_objects WHERE backup_copy_id = $1";
        let id = self.copy().await.id;
        self.world.eventually("nothing of it is recorded", async || self.world.count(recorded, id).await == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_later_is_the_same_bytes_and_the_source_is_not_touched() {
    let scene = Scene::new().await;
    let log_ins = scene.world.sshd.auth_attempts();
    let worker = scene.world.worker(FaultPoints::none()).await;
    assert!(scene.request().await);
    assert!(!scene.request().await, "one is enough");
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.verified_level, row.attempts), ("committed", Some(1), 1), "{row:#?}");
    assert_same_bytes(&scene.world, scene.second).await;
    assert!(!scene.request().await, "there is one now");
    assert_eq!(scene.world.sshd.auth_attempts(), log_ins, "no second reading of the source");
    worker.stop().await;
    scene.world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_in_a_partial_run_is_made_later() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let in_the_way = world.break_destination(second).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "partial");
    let backup = BackupId(world.count("SELECT id FROM backups WHERE backup_run_id = $1", run.0).await);
    let scene = Scene { world, second, backup };
    // While the destination is down the copy fails, and says so.
    assert!(scene.request().await);
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 3), "{row:#?}");
    std::fs::remove_file(in_the_way).unwrap();
    // Whoever asks in the middle of the cleaning waits until it would be over at the latest.
    let ready = "SELECT count(*) FROM backup_copies c WHERE id = $1 AND lease_until IS NULL
                 AND NOT EXISTS (SELECT 1 FROM backup_copy_objects o WHERE o.backup_copy_id = c.id)";
    scene.world.eventually("the failed one is cleaned", async || scene.world.count(ready, row.id).await == 1).await;
    assert!(scene.request().await);
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.error_code.as_deref()), ("committed", None), "{row:#?}");
    assert_same_bytes(&scene.world, second).await;
    worker.stop().await;
    scene.world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_copy_leaves_nothing() {
    for point in FaultPoint::OF_COPIES {
        let scene = Scene::new().await;
        let (faults, hold) = FaultPoints::hold(point);
        let worker = scene.world.worker(faults).await;
        assert!(scene.request().await);
        hold.reached().await;
        let id = BackupCopyId(scene.copy().await.id);
        let tx = scene.world.store.for_team(&scene.world.access()).await.unwrap();
        tx.copy_requests().request_cancel(id, chrono::Utc::now()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        // Whether the worker has heard of it by then or not: what is asked to end is not committed any more.
        hold.release();
        let row = scene.until_over().await;
        assert_eq!(
            (row.state.as_str(), row.error_code.as_deref()),
            ("failed", Some("cancelled")),
            "{point:?} {row:#?}"
        );
        scene.until_clean().await;
        worker.stop().await;
        scene.world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_worker_is_gone_is_taken_up_again() {
    let scene = Scene::new().await;
    assert!(scene.request().await);
    let id = BackupCopyId(scene.copy().await.id);
    // A worker that claimed it, wrote half an object and died.
    let dead = scene.world.store.take_copy(&taker("dead", 0.0)).await.unwrap().unwrap();
    let tx = scene.world.store.for_team(&scene.world.access()).await.unwrap();
    let from = scene.world.count("SELECT min(id) FROM backup_copies WHERE backup_id = $1", scene.backup.0).await;
    assert!(tx.copy_execution(id, dead.epoch).record_objects(BackupCopyId(from)).await.unwrap());
    tx.commit().await.unwrap();
    let name: String = sqlx::query_scalar("SELECT name FROM backup_copy_objects WHERE backup_copy_id = $1 LIMIT 1")
        .bind(id.0)
        .fetch_one(&scene.world.pool)
        .await
        .unwrap();
    let half = scene.world.folder_of(scene.second).await.join(format!("{name}.part"));
    std::fs::create_dir_all(half.parent().unwrap()).unwrap();
    std::fs::write(&half, "half").unwrap();
    let worker = scene.world.worker(FaultPoints::none()).await;
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.epoch, row.attempts), ("committed", 2, 2), "{row:#?}");
    let tx = scene.world.store.for_team(&scene.world.access()).await.unwrap();
    let late = tx.copy_execution(id, dead.epoch);
    assert!(!late.commit(1).await.unwrap() && !late.record_objects(BackupCopyId(from)).await.unwrap(), "it is fenced");
    drop(tx);
    assert_same_bytes(&scene.world, scene.second).await;
    worker.stop().await;
    scene.world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_not_copied() {
    let scene = Scene::new().await;
    let body = crate::harness::files_below(&scene.world.folder_of(scene.world.destination_id).await)
        .into_iter()
        .find(|file| file.to_str().unwrap().contains(".tar.zst"))
        .unwrap();
    let mut bytes = std::fs::read(&body).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&body, bytes).unwrap();
    let worker = scene.world.worker(FaultPoints::none()).await;
    assert!(scene.request().await);
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.error_code.as_deref()), ("failed", Some("copy_damaged")), "{row:#?}");
    scene.until_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_between_two_workers_stores_says_that_nobody_can_make_it() {
    let scene = Scene::new().await;
    let other_root = tempfile::tempdir().unwrap();
    let other = scene.world.context_at(other_root.path());
    scene.world.hold(scene.second, &other).await;
    let workers = [scene.world.worker(FaultPoints::none()).await, Worker::start(other).await];
    assert!(scene.request().await);
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 1), "{row:#?}");
    assert!(row.error_message.unwrap().contains("different workers"));
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_that_holds_the_store_makes_the_copy() {
    let scene = Scene::new().await;
    let without = Worker::start(scene.world.context_without_root(FaultPoints::none())).await;
    let with = scene.world.worker(FaultPoints::none()).await;
    let alive = "SELECT count(*) FROM workers WHERE $1 = 1";
    scene.world.eventually("both workers are known", async || scene.world.count(alive, 1).await == 2).await;
    assert!(scene.request().await);
    let row = scene.until_over().await;
    assert_eq!((row.state.as_str(), row.attempts), ("committed", 1), "{row:#?}");
    without.stop().await;
    with.stop().await;
    scene.world.assert_no_residue().await;
}
