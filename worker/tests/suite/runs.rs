//! Runs that end with a backup.

use crate::harness::World;
use holdfast_domain::manifest::{Manifest, SignedManifest};
use holdfast_store::queue::{self, Job};
use holdfast_worker::faults::FaultPoints;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::Row;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_succeeds_end_to_end() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    assert_eq!((row.epoch, row.attempts, row.error_code), (1, 1, None));
    // Folder, folder with spaces, odd file, small.txt, noise.bin, link.
    assert_eq!(row.progress["nfiles"], 6);
    assert_eq!(row.progress["destinations"][0]["state"], "committed");
    assert!(row.progress["original_size"].as_u64().unwrap() > 3_000_000, "{}", row.progress);
    assert!(row.transfer_ms.is_some());
    worker.stop().await;
    assert_eq!(world.count("SELECT count(*) FROM workers WHERE $1 = 1", 1).await, 0, "the worker said goodbye");
    world.assert_no_residue().await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    assert!(tx.run_execution(run, 1).is_committed().await.unwrap(), "what a lost answer of the commit is asked for");
    assert!(!tx.run_execution(run, 2).is_committed().await.unwrap());
    drop(tx);
    let log = world.log(run).await.join("\n");
    assert!(log.contains("Connecting to") && log.contains("stored and verified"), "{log}");
    let pinned = "SELECT count(*) FROM audit_events WHERE action = 'remote_server.host_key_trusted' AND team_id = $1";
    assert_eq!(world.count(pinned, world.team_id).await, 1, "a key that was trusted is in the audit log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_is_what_lies_there() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    world.until_over(run).await;
    worker.stop().await;
    let files = world.stored_files();
    assert_eq!(files.len(), 3);
    let objects = sqlx::query("SELECT kind, name, size_bytes, sha256 FROM backup_copy_objects WHERE team_id = $1")
        .bind(world.team_id)
        .fetch_all(&world.pool)
        .await
        .unwrap();
    for object in &objects {
        let name: String = object.get("name");
        let file = files.iter().find(|file| file.ends_with(&name)).unwrap_or_else(|| panic!("{name} in {files:?}"));
        let bytes = std::fs::read(file).unwrap();
        assert_eq!(object.get::<i64, _>("size_bytes"), bytes.len() as i64);
        assert_eq!(object.get::<String, _>("sha256"), hex::encode(Sha256::digest(&bytes)));
        if object.get::<String, _>("kind") == "manifest" {
            let signed: SignedManifest = serde_json::from_slice(&bytes).unwrap();
            let manifest: Manifest = serde_json::from_str(&signed.manifest).unwrap();
            let stored: serde_json::Value = sqlx::query_scalar("SELECT manifest FROM backups WHERE backup_run_id = $1")
                .bind(run.0)
                .fetch_one(&world.pool)
                .await
                .unwrap();
            assert_eq!(serde_json::to_value(&manifest).unwrap(), stored);
            assert_eq!((manifest.epoch, manifest.streams[0].exit_status), (1, 0));
        }
    }
    let level = "SELECT count(*) FROM backup_copies WHERE state = 'committed' AND verified_level = 1 AND team_id = $1";
    assert_eq!(world.count(level, world.team_id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_and_many_deliveries_make_one_backup() {
    let world = World::new().await;
    let workers = [world.worker(FaultPoints::none()).await, world.worker(FaultPoints::none()).await];
    let run = world.insert_run(world.task_id).await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    for attempt in 1..=20 {
        queue::enqueue(&tx, Job::ExecuteRun(run, attempt)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.attempts, row.epoch), ("succeeded", 1, 1));
    let undelivered = "SELECT count(*) FROM apalis.jobs WHERE status <> 'Done' AND $1 = 1";
    world.eventually("every delivery ends", async || world.count(undelivered, 1).await == 0).await;
    assert_eq!(world.backups().await, 1);
    for worker in workers {
        worker.stop().await;
    }
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_a_job_is_found() {
    let world = World::new().await;
    let run = world.queue_run().await;
    sqlx::query("TRUNCATE apalis.jobs").execute(&world.pool).await.unwrap();
    sqlx::query("UPDATE backup_runs SET not_before = now() - interval '1 minute'").execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_a_warning_by_name() {
    let world = World::new().await;
    let secret = world.tree.join("secret");
    std::fs::write(&secret, "x").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.warning_count), ("succeeded_with_warnings", 1), "{:#?}", world.log(run).await);
    let log = world.log(run).await.join("\n");
    assert!(log.contains("secret"), "{log}");
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encryption_mode_and_a_log_in_of_the_tasks_own() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    world.seal_task_password("correct horse battery").await;
    let recipient: String = sqlx::query_scalar("SELECT public FROM team_keys WHERE purpose = 'age' AND team_id = $1")
        .bind(world.team_id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    for mode in ["managed", "recipients", "password", "none"] {
        sqlx::query("UPDATE backup_tasks SET encryption_mode = $2, encryption_recipients = $3, isolated_username = $4 WHERE id = $1")
            .bind(world.task_id)
            .bind(mode)
            .bind(if mode == "recipients" { vec![recipient.clone()] } else { Vec::new() })
            .bind(world.login.name())
            .execute(&world.pool)
            .await
            .unwrap();
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        assert_eq!(row.status, "succeeded", "{mode}: {row:#?}");
        let name: String = sqlx::query_scalar(
            "SELECT o.name FROM backup_copy_objects o JOIN backup_copies c ON c.id = o.backup_copy_id
             JOIN backups b ON b.id = c.backup_id WHERE o.kind = 'stream' AND b.backup_run_id = $1",
        )
        .bind(run.0)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert_eq!(name.ends_with(".tar.zst.age"), mode != "none", "{name}");
        let file = world.stored_files().into_iter().find(|file| file.ends_with(&name)).unwrap();
        let head = std::fs::read(file).unwrap()[..40].to_vec();
        assert_eq!(head.starts_with(b"age-encryption.org/v1"), mode != "none");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_nothing_makes_a_partial_success() {
    let world = World::new().await;
    let s3 = world.add_destination("s3").await;
    world.send_to(world.task_id, s3, 1).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "partial");
    let failed = "SELECT count(*) FROM backup_copies WHERE state = 'failed' AND error_code = 'secret_unavailable'
                  AND backup_destination_id = $1";
    assert_eq!(world.count(failed, s3).await, 1);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_much_smaller_backup_is_a_warning() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    world.until_over(world.queue_run().await).await;
    std::fs::remove_file(world.tree.join("noise.bin")).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded_with_warnings");
    let warnings: serde_json::Value = sqlx::query_scalar("SELECT warnings FROM backup_runs WHERE id = $1")
        .bind(run.0)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(warnings[0]["code"], json!("size_dropped"));
    worker.stop().await;
}
