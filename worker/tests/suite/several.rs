//! Runs with several destinations: each ends by itself, and what failed at one is no failure of the others.

use crate::harness::{SmallDisk, Worker, World};
use holdfast_worker::WorkerContext;
use holdfast_worker::faults::FaultPoints;
use sqlx::Row;
use std::path::{Path, PathBuf};

impl World {
    /// Gives the world's task a second local destination.
    pub async fn second_destination(&self) -> i64 {
        let second = self.add_destination("local").await;
        self.send_to(self.task_id, second, 1).await;
        second
    }

    /// The destination's store is the one that `context`'s worker holds.
    pub async fn hold(&self, destination: i64, context: &WorkerContext) {
        let store_id = context.local_root.as_ref().unwrap().store_id().to_string();
        let bind = "UPDATE backup_destinations SET store_id = $2 WHERE id = $1";
        sqlx::query(bind).bind(destination).bind(store_id).execute(&self.pool).await.unwrap();
    }

    /// Two workers, each of which holds one of the world's two destinations, once both are known; the first one's name.
    pub async fn workers_with_a_store_each(&self, second: i64, other_root: &Path) -> (String, [Worker; 2]) {
        let (ours, other) = (self.context(FaultPoints::none()), self.context_at(other_root));
        self.hold(self.destination_id, &ours).await;
        self.hold(second, &other).await;
        let name = ours.name.clone();
        let workers = [Worker::start(ours).await, Worker::start(other).await];
        let alive = "SELECT count(*) FROM workers WHERE $1 = 1";
        self.eventually("both workers are known", async || self.count(alive, 1).await == 2).await;
        (name, workers)
    }

    /// Where a local destination's objects lie.
    pub async fn folder_of(&self, destination: i64) -> PathBuf {
        let uuid: uuid::Uuid = sqlx::query_scalar("SELECT uuid FROM teams WHERE id = $1")
            .bind(self.team_id)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        self.root.path().join(uuid.to_string()).join(destination.to_string())
    }

    /// Makes a destination fail whatever it is asked: a file is where its folder should be.
    pub async fn break_destination(&self, destination: i64) -> PathBuf {
        let folder = self.folder_of(destination).await;
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        folder
    }

    /// State and error of each copy of the run's backup, by destination.
    pub async fn copies(&self) -> Vec<(i64, String, Option<String>)> {
        let rows = sqlx::query(
            "SELECT backup_destination_id, state, error_code FROM backup_copies WHERE team_id = $1
             ORDER BY backup_id, backup_destination_id",
        );
        let rows = rows.bind(self.team_id).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }
}

fn committed(destination: i64) -> (i64, String, Option<String>) {
    (destination, "committed".to_owned(), None)
}

fn failed(destination: i64, code: &str) -> (i64, String, Option<String>) {
    (destination, "failed".to_owned(), Some(code.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_destinations_get_the_same_bytes_in_one_pass() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    assert_eq!(world.copies().await, [committed(world.destination_id), committed(second)]);
    let states: Vec<_> = row.progress["destinations"].as_array().unwrap().iter().map(|d| d["state"].clone()).collect();
    assert_eq!(states, ["committed", "committed"]);
    let starts = world.log(run).await.iter().filter(|line| line.contains("Starting tar")).count();
    assert_eq!(starts, 1, "the source is read once");
    assert_same_bytes(&world, second).await;
    worker.stop().await;
    world.assert_no_residue().await;
}

/// Both destinations hold the same objects.
pub async fn assert_same_bytes(world: &World, second: i64) {
    let read = |folder: PathBuf| {
        let files = crate::harness::files_below(&folder).into_iter();
        let mut all: Vec<_> =
            files.map(|file| (file.strip_prefix(&folder).unwrap().to_owned(), std::fs::read(&file).unwrap())).collect();
        all.sort();
        all
    };
    let (one, two) = (read(world.folder_of(world.destination_id).await), read(world.folder_of(second).await));
    assert!(!one.is_empty() && one == two, "the copies differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_down_makes_a_partial_run_with_one_good_copy() {
    for broken_first in [false, true] {
        let world = World::new().await;
        let second = world.second_destination().await;
        let (bad, good) = if broken_first { (world.destination_id, second) } else { (second, world.destination_id) };
        let in_the_way = world.break_destination(bad).await;
        let worker = world.worker(FaultPoints::none()).await;
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.attempts), ("partial", 1), "{row:#?} {:#?}", world.log(run).await);
        let copies = world.copies().await;
        assert!(copies.contains(&committed(good)) && copies.contains(&failed(bad, "destination_failed")), "{copies:?}");
        let log = world.log(run).await.join("\n");
        assert!(log.contains("is left out") && log.contains("not at every destination"), "{log}");
        let destinations = row.progress["destinations"].as_array().unwrap();
        let state = |id: i64| destinations.iter().find(|d| d["backup_destination_id"] == id).unwrap()["state"].clone();
        assert_eq!((state(good), state(bad)), ("committed".into(), "failed".into()));
        std::fs::remove_file(in_the_way).unwrap();
        worker.stop().await;
        world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_down_is_a_failed_run_without_a_backup() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let broken = [world.break_destination(world.destination_id).await, world.break_destination(second).await];
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("destination_failed")), "{row:#?}");
    assert_eq!((row.attempts, world.backups().await), (3, 0));
    let log = world.log(run).await.join("\n");
    assert!(!log.contains("Starting tar"), "the source is not read for nobody: {log}");
    broken.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_gets_full_in_the_middle_keeps_what_it_had() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let folder = world.folder_of(second).await;
    std::fs::create_dir_all(&folder).unwrap();
    // Room for one backup, and not for two.
    let disk = SmallDisk::mount(&folder, "5m");
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    let before = crate::harness::files_below(&folder);
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "partial", "{row:#?} {:#?}", world.log(run).await);
    assert!(world.copies().await.contains(&failed(second, "destination_full")));
    worker.stop().await;
    world.assert_no_residue().await;
    assert_eq!(crate::harness::files_below(&folder), before, "nothing older was deleted to make room");
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_worker_makes_a_partial_run_at_the_one_that_holds_the_first() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let other_root = tempfile::tempdir().unwrap();
    let (name, workers) = world.workers_with_a_store_each(second, other_root.path()).await;
    for _ in 0..3 {
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.attempts), ("partial", 1), "{row:#?} {:#?}", world.log(run).await);
        let by: String = sqlx::query_scalar("SELECT owner FROM backup_runs WHERE id = $1")
            .bind(run.0)
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert_eq!(by, name, "the worker that holds the first store runs it");
    }
    assert!(world.copies().await.contains(&failed(second, "store_offline")));
    for worker in workers {
        worker.stop().await;
    }
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nothing_is_read_and_nothing_older_is_deleted() {
    let world = World::new().await;
    let disk = SmallDisk::mount(world.root.path(), "5m");
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    let (before, log_ins) = (world.stored_files(), world.sshd.auth_attempts());
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("low_space")), "{row:#?}");
    assert_eq!((row.attempts, world.sshd.auth_attempts()), (1, log_ins), "the server was not touched");
    let message = row.error_message.unwrap();
    assert!(message.contains("bytes are free") && message.contains("Make room"), "{message}");
    assert_eq!(world.stored_files(), before);
    worker.stop().await;
    world.assert_no_residue().await;
    drop(disk);
}
