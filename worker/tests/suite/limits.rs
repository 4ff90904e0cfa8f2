//! What bounds a run: its time, a source's silence, the size of an object.

use crate::harness::{Worker, World};
use holdfast_domain::ids::{BackupId, RemoteServerId, RestoreId, UserId};
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout, RestoreSpec, RestoreTo};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::restores::NewRestore;
use holdfast_worker::faults::FaultPoints;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file whose reading takes longer than any test, and that takes no room.
fn make_endless(world: &World) {
    let file = File::create(world.tree.join("endless")).unwrap();
    file.set_len(1 << 42).unwrap();
    world.login.give(&world.tree).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_stopped_for_good() {
    let world = World::new().await;
    make_endless(&world);
    // The operator's limit, and a task's lower one.
    for (settings, own, told) in
        [(vec![("HOLDFAST__WORKER__MAX_RUN_SECS", "2")], None, "2 s"), (vec![], Some(1), "1 s")]
    {
        sqlx::query("UPDATE backup_tasks SET max_duration_secs = $1").bind(own).execute(&world.pool).await.unwrap();
        let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("timed_out")), "{row:#?}");
        assert_eq!((row.attempts, row.process_terminated), (1, Some(true)), "it is final, and the program is gone");
        let message = row.error_message.unwrap();
        assert!(message.contains(told), "{message}");
        worker.stop().await;
        world.assert_no_residue().await;
    }
    assert_eq!(world.backups().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_lost_attempts_counts() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    world.claim(run, "gone", 0.0).await.unwrap();
    let sql = "UPDATE backup_runs SET started_at = now() - interval '25 hours' WHERE id = $1";
    sqlx::query(sql).bind(run.0).execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("timed_out")), "{row:#?}");
    assert_eq!(world.sshd.auth_attempts(), 0, "the server was not touched");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_has_stalled() {
    let world = World::new().await;
    make_endless(&world);
    let settings = [("HOLDFAST__WORKER__STALL_SECS", "3"), ("HOLDFAST__WORKER__MAX_ATTEMPTS", "1")];
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    let run = world.queue_run().await;
    world.until(run, |run| run.progress["original_size"].as_u64().unwrap_or(0) > 1 << 20).await;
    let processes = world.login.processes().unwrap();
    let tars = processes.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let tars: Vec<&str> = tars.filter(|fields| fields[2].ends_with("tar")).map(|fields| fields[1]).collect();
    let stopped = std::process::Command::new("kill").arg("-STOP").args(&tars).status();
    assert!(stopped.unwrap().success(), "tar runs there: {processes:?}");
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("stalled")), "{row:#?}");
    assert_eq!(row.process_terminated, Some(true));
    worker.stop().await;
    world.assert_no_residue().await;
}

impl World {
    /// Restores the newest backup to `target` by a worker of `settings`; `paths` as in the API.
    async fn restore(&self, target: &Path, paths: Vec<String>) -> (String, Option<String>) {
        let backup: i64 = sqlx::query_scalar("SELECT max(id) FROM backups WHERE team_id = $1")
            .bind(self.team_id)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let spec = RestoreSpec {
            target: RestoreTo::Path { path: target.to_str().unwrap().to_owned() },
            streams: vec![],
            paths,
            layout: RestoreLayout::ContentsOnly,
            existing: ExistingPolicy::Refuse,
            restore_owners: false,
            dry_run: false,
        };
        let new = NewRestore {
            user_id: Some(UserId(self.user_id)),
            backup_id: BackupId(backup),
            backup_copy_id: None,
            remote_server_id: RemoteServerId(self.server_id),
            spec,
            seal_id: uuid::Uuid::new_v4(),
            sealed_password: None,
            sealed_database_password: None,
        };
        let tx = self.store.for_team(&self.access()).await.unwrap();
        let row = tx.restores().create_queued(new, chrono::Utc::now()).await.unwrap();
        queue::enqueue(&tx, Job::ExecuteRestore(RestoreId(row.id), 1)).await.unwrap();
        tx.commit().await.unwrap();
        let ended = "SELECT count(*) FROM restores WHERE id = $1 AND completed_at IS NOT NULL";
        self.eventually("the restore ends", async || self.count(ended, row.id).await == 1).await;
        sqlx::query_as("SELECT status, error_message FROM restores WHERE id = $1")
            .bind(row.id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_stream_goes_on_in_next_objects_and_comes_back_whole_and_by_path() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let settings = [("HOLDFAST__DESTINATIONS__OBJECT_LIMIT_BYTES", "1048576")];
    let worker = Worker::start(world.context_with(FaultPoints::none(), &settings)).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT o.name FROM backup_copy_objects o JOIN backup_copies c ON c.id = o.backup_copy_id
         WHERE o.kind = 'stream' AND c.backup_destination_id = $1 ORDER BY o.part",
    )
    .bind(second)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let ends: Vec<&str> = names.iter().map(|name| name.strip_prefix(names[0].as_str()).unwrap()).collect();
    assert_eq!(ends, ["", ".001", ".002"], "three million bytes in objects of 1 MiB");
    let sizes: Vec<u64> = world.stored_files().iter().map(|file| file.metadata().unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
    crate::several::assert_same_bytes(&world, second).await;
    let home: PathBuf = world.login.home().to_owned();
    let (status, error) = world.restore(&home.join("whole"), vec![]).await;
    assert_eq!(status, "succeeded", "{error:?}");
    let original = std::fs::read(world.tree.join("noise.bin")).unwrap();
    assert!(std::fs::read(home.join("whole/noise.bin")).unwrap() == original);
    let one = world.tree.join("small.txt").to_str().unwrap().to_owned();
    let (status, error) = world.restore(&home.join("one"), vec![one]).await;
    assert_eq!(status, "succeeded", "{error:?}");
    assert_eq!(std::fs::read(home.join("one/small.txt")).unwrap(), b"small\n");
    worker.stop().await;
    world.assert_no_residue().await;
}
