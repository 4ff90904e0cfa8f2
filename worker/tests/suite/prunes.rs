//! Keeping: what a rule takes goes, once, whole, and nothing else does; wherever a worker is killed, the next one ends it.

use crate::harness::World;
use crate::process::WorkerProcess;
use holdfast_domain::ids::{BackupRunId, BackupTaskId};
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use holdfast_worker::jobs::prune_task::prune_task;
use serde_json::json;
use sqlx::Row;
use std::path::PathBuf;
use std::sync::Arc;

const IN_STATE: &str =
    "SELECT count(*) FROM backup_copies c JOIN backups b ON b.id = c.backup_id WHERE b.backup_task_id = $1";

/// What a test asks of copies.
impl World {
    async fn keep(&self, task: i64, max_backups: i32, recycle_secs: i64) {
        sqlx::query("UPDATE backup_tasks SET max_backups = $2, recycle_secs = $3 WHERE id = $1")
            .bind(task)
            .bind(max_backups)
            .bind(recycle_secs)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    /// A backup of `task`, made by a worker that is running.
    async fn back_up(&self, task: i64) -> BackupRunId {
        let run = self.queue_run_of(task).await;
        let row = self.until_over(run).await;
        assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", self.log(run).await);
        run
    }

    async fn execute(&self, sql: &'static str, id: i64) {
        sqlx::query(sql).bind(id).execute(&self.pool).await.unwrap();
    }

    /// Runs whose backups have a copy in `state`, oldest first.
    async fn runs_in(&self, task: i64, state: &str) -> Vec<i64> {
        let sql = "SELECT b.backup_run_id FROM backup_copies c JOIN backups b ON b.id = c.backup_id
                   WHERE b.backup_task_id = $1 AND c.state = $2 ORDER BY b.id";
        sqlx::query_scalar(sql).bind(task).bind(state).fetch_all(&self.pool).await.unwrap()
    }

    async fn until_runs_in(&self, task: i64, state: &str, wanted: &[BackupRunId]) {
        let wanted: Vec<i64> = wanted.iter().map(|run| run.0).collect();
        let what = format!("{state}: {wanted:?}");
        self.eventually(&what, async || self.runs_in(task, state).await == wanted).await;
    }

    async fn until_nothing_is_wanted(&self) {
        let open = "SELECT count(*) FROM prunes WHERE wanted_at IS NOT NULL AND team_id = $1";
        self.eventually("no prune is wanted", async || self.count(open, self.team_id).await == 0).await;
    }

    /// Every object of a committed copy is there: no row calls readable what is not.
    async fn assert_readable_copies_are_whole(&self) {
        let sql = "SELECT c.id, o.name, d.id AS destination FROM backup_copies c
                   JOIN backup_copy_objects o ON o.backup_copy_id = c.id
                   JOIN backup_destinations d ON d.id = c.backup_destination_id
                   WHERE c.team_id = $1 AND c.state IN ('committed', 'recycled')";
        let stored = self.stored_files();
        for row in sqlx::query(sql).bind(self.team_id).fetch_all(&self.pool).await.unwrap() {
            let (name, destination) = (row.get::<String, _>("name"), row.get::<i64, _>("destination"));
            let end: PathBuf = [destination.to_string(), name].iter().collect();
            assert!(stored.iter().any(|file| file.ends_with(&end)), "{} is not in {stored:#?}", end.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_commit_the_rule_of_that_task_alone_is_applied() {
    let world = World::new().await;
    let other = world.add_task(json!({"kind": "files", "paths": [world.tree]})).await;
    world.keep(world.task_id, 2, 0).await;
    world.keep(other, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let mut of_other = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..4 {
        of_other.push(world.back_up(other).await);
        runs.push(world.back_up(world.task_id).await);
    }
    world.until_runs_in(world.task_id, "committed", &runs[2..]).await;
    world.until_runs_in(world.task_id, "deleted", &runs[..2]).await;
    assert_eq!(world.runs_in(other, "committed").await.len(), 4, "another task's backups are none of its business");
    world.until_nothing_is_wanted().await;
    world.assert_no_residue().await;
    let listed = "SELECT count(*) FROM backups WHERE backup_task_id = $1 AND deleted_at IS NULL";
    assert_eq!(world.count(listed, world.task_id).await, 2);
    let log = world.log(runs[3]).await;
    assert!(log.iter().any(|line| line.contains("2 copies stay, 1 goes for good")), "{log:#?}");
    assert!(log.iter().any(|line| line == "Retention: 1 copy was deleted."), "{log:#?}");
    let told = "SELECT count(*) FROM audit_events WHERE action = 'backup_task.prune' AND team_id = $1";
    assert_eq!(world.count(told, world.team_id).await, 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_is_killed_anywhere_ends_right() {
    for point in [FaultPoint::Committed].into_iter().chain(FaultPoint::OF_PRUNES) {
        let world = World::new().await;
        world.keep(world.task_id, 0, 0).await;
        let worker = world.worker(FaultPoints::none()).await;
        let old = [world.back_up(world.task_id).await, world.back_up(world.task_id).await];
        world.until_nothing_is_wanted().await;
        worker.stop().await;
        world.keep(world.task_id, 1, 0).await;
        let last = world.queue_run().await;
        WorkerProcess::start(&world, point.name()).until_killed().await;
        world.assert_readable_copies_are_whole().await;
        if point != FaultPoint::Committed {
            assert_eq!(world.runs_in(world.task_id, "committed").await, [last.0], "{point:?}");
        }
        let heir = world.worker(FaultPoints::none()).await;
        world.until_runs_in(world.task_id, "committed", &[last]).await;
        world.until_runs_in(world.task_id, "deleted", &old).await;
        world.until_nothing_is_wanted().await;
        world.assert_no_residue().await;
        heir.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prunes_at_once_take_what_one_takes() {
    let world = World::new().await;
    world.keep(world.task_id, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(world.back_up(world.task_id).await);
    }
    world.until_nothing_is_wanted().await;
    worker.stop().await;
    world.keep(world.task_id, 2, 0).await;
    let due = "UPDATE prunes SET is_plan_due = true, wanted_at = now(), not_before = now() WHERE backup_task_id = $1";
    world.execute(due, world.task_id).await;
    let (one, two) = (world.context(FaultPoints::none()), world.context(FaultPoints::none()));
    let task = BackupTaskId(world.task_id);
    tokio::join!(prune_task(Arc::clone(&one), task), prune_task(Arc::clone(&two), task));
    prune_task(one, task).await;
    world.until_runs_in(world.task_id, "committed", &runs[2..]).await;
    world.until_runs_in(world.task_id, "deleted", &runs[..2]).await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_runs_fail_and_a_damaged_new_copy_pushes_nothing_out() {
    let world = World::new().await;
    world.keep(world.task_id, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let good = [world.back_up(world.task_id).await, world.back_up(world.task_id).await];
    world.until_nothing_is_wanted().await;
    worker.stop().await;
    world.keep(world.task_id, 1, 0).await;

    // What was written is not what comes back.
    let (faults, hold) = FaultPoints::hold(FaultPoint::Stored);
    let context = world.context_with(faults, &[("HOLDFAST__WORKER__MAX_ATTEMPTS", "1")]);
    let worker = crate::harness::Worker::start(context).await;
    let before = world.stored_files();
    let run = world.queue_run().await;
    hold.reached().await;
    let fresh = world.stored_files().into_iter().filter(|file| !before.contains(file));
    for file in fresh {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[..64.min(middle)].fill(0);
        bytes[middle] ^= 0xff;
        std::fs::write(&file, bytes).unwrap();
    }
    hold.release();
    assert_eq!(world.until_over(run).await.status, "failed");
    world.until_nothing_is_wanted().await;
    world.until_runs_in(world.task_id, "committed", &good).await;

    // Found to be damaged after it was verified: what came before it stays.
    let last = world.back_up(world.task_id).await;
    world.until_runs_in(world.task_id, "committed", &[last]).await;
    let noted = "UPDATE backup_copies SET error_code = 'copy_damaged', error_message = 'x' WHERE state = 'committed' AND team_id = $1";
    world.execute(noted, world.team_id).await;
    let next = world.back_up(world.task_id).await;
    world.until_runs_in(world.task_id, "committed", &[next]).await;
    world.execute(noted, world.team_id).await;
    let due = "UPDATE prunes SET is_plan_due = true, wanted_at = now(), not_before = now() WHERE backup_task_id = $1";
    world.execute(due, world.task_id).await;
    world.until_nothing_is_wanted().await;
    assert_eq!(world.runs_in(world.task_id, "committed").await, [next.0], "a damaged one is the last that is there");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shrank_pushes_out_nothing_that_did_not() {
    let world = World::new().await;
    world.keep(world.task_id, 1, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let whole = world.back_up(world.task_id).await;
    std::fs::remove_file(world.tree.join("noise.bin")).unwrap();
    let mut shrunk = Vec::new();
    for _ in 0..2 {
        let run = world.queue_run().await;
        assert_eq!(world.until_over(run).await.status, "succeeded_with_warnings", "{:#?}", world.log(run).await);
        world.until_nothing_is_wanted().await;
        shrunk.push(run);
    }
    world.until_runs_in(world.task_id, "committed", &[whole, shrunk[1]]).await;
    world.until_runs_in(world.task_id, "deleted", &shrunk[..1]).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_offline_and_never_empty() {
    let world = World::new().await;
    world.keep(world.task_id, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let (old, last) = (world.back_up(world.task_id).await, world.back_up(world.task_id).await);
    world.until_nothing_is_wanted().await;
    worker.stop().await;
    world.keep(world.task_id, 1, 0).await;
    let due = "UPDATE prunes SET is_plan_due = true, wanted_at = now(), not_before = now() WHERE backup_task_id = $1";
    let files = world.stored_files();
    let elsewhere = tempfile::tempdir().unwrap();
    for context in [world.context_without_root(FaultPoints::none()), world.context_on(elsewhere.path())] {
        world.execute(due, world.task_id).await;
        prune_task(context, BackupTaskId(world.task_id)).await;
        assert_eq!(world.runs_in(world.task_id, "deleting").await, [old.0]);
        assert_eq!(world.stored_files(), files, "nothing was touched");
        let told = "SELECT count(*) FROM backup_copies WHERE error_code = 'store_offline' AND team_id = $1";
        assert_eq!(world.count(told, world.team_id).await, 1);
    }
    assert!(crate::harness::files_below(elsewhere.path()).iter().all(|file| file.ends_with("store.id")));
    let log = world.log(last).await;
    assert!(log.iter().any(|line| line.contains("could not be deleted yet")), "{log:#?}");
    world.execute("UPDATE prunes SET not_before = now() WHERE backup_task_id = $1", world.task_id).await;
    let back = world.worker(FaultPoints::none()).await;
    world.until_runs_in(world.task_id, "deleted", &[old]).await;
    world.until_nothing_is_wanted().await;
    world.assert_no_residue().await;
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_already_is_deleted_and_what_is_not_ours_stays() {
    let world = World::new().await;
    world.keep(world.task_id, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let old = world.back_up(world.task_id).await;
    let files = world.stored_files();
    let strange = files[0].with_file_name("backup_1_something_of_somebody_else.tar.zst");
    std::fs::write(&strange, "not ours").unwrap();
    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    world.keep(world.task_id, 1, 0).await;
    let last = world.back_up(world.task_id).await;
    world.until_runs_in(world.task_id, "deleted", &[old]).await;
    world.until_runs_in(world.task_id, "committed", &[last]).await;
    assert_eq!(std::fs::read_to_string(&strange).unwrap(), "not ours");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_and_restored_backups_stay_and_a_bin_gives_back_the_same_bytes_until_its_time_is_over() {
    let world = World::new().await;
    world.keep(world.task_id, 0, 0).await;
    let worker = world.worker(FaultPoints::none()).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(world.back_up(world.task_id).await);
    }
    world.execute("UPDATE backups SET held = true WHERE backup_run_id = $1", runs[0].0).await;
    let restoring = "INSERT INTO restores (team_id, backup_id, remote_server_id, spec, seal_id, not_before)
                     SELECT team_id, id, remote_server_id, '{}', gen_random_uuid(), now() + interval '1 day'
                     FROM backups WHERE backup_run_id = $1";
    world.execute(restoring, runs[1].0).await;
    world.keep(world.task_id, 1, 3600).await;
    let files = world.stored_files();
    runs.push(world.back_up(world.task_id).await);
    world.until_runs_in(world.task_id, "recycled", &runs[2..3]).await;
    world.until_runs_in(world.task_id, "committed", &[runs[0], runs[1], runs[3]]).await;
    assert!(files.iter().all(|file| file.exists()), "what is in the bin is still there");

    // Its time is over, but the only newer copy turned out to be damaged.
    let noted = "UPDATE backup_copies c SET error_code = 'copy_damaged' FROM backups b
                 WHERE b.id = c.backup_id AND b.backup_run_id = $1";
    world.execute(noted, runs[3].0).await;
    let over = "UPDATE backup_copies SET expires_at = now() - interval '1 s' WHERE state = 'recycled' AND team_id = $1";
    world.execute(over, world.team_id).await;
    let prolonged =
        "SELECT count(*) FROM backup_copies WHERE expires_at > now() AND state = 'recycled' AND team_id = $1";
    world.eventually("it stays", async || world.count(prolonged, world.team_id).await == 1).await;
    world.assert_readable_copies_are_whole().await;

    world.execute("UPDATE backup_copies SET error_code = NULL WHERE team_id = $1", world.team_id).await;
    world.execute(over, world.team_id).await;
    world.until_runs_in(world.task_id, "deleted", &runs[2..3]).await;
    world.until_nothing_is_wanted().await;
    world.assert_no_residue().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifteen_hundred_the_right_ones_go() {
    let world = World::new().await;
    world.keep(world.task_id, 7, 0).await;
    let many = "WITH run AS (
            INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, status, completed_at)
            SELECT t.team_id, t.id, lpad(n::text, 26, '0'), 'manual', 'succeeded', now()
            FROM backup_tasks t, generate_series(1, 1500) n WHERE t.id = $1 ORDER BY n RETURNING *
        ), backup AS (
            INSERT INTO backups (team_id, backup_task_id, backup_run_id, remote_server_id, task_label, encryption_mode,
                                 has_warnings, original_size, stored_size, nfiles, manifest)
            SELECT run.team_id, t.id, run.id, t.remote_server_id, 'task', 'none', false, 1, 1, 1, '{}'
            FROM run JOIN backup_tasks t ON t.id = run.backup_task_id ORDER BY run.id RETURNING *
        ), copy AS (
            INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state, verified_level, verified_at)
            SELECT b.team_id, b.id, d.backup_destination_id, 'committed', 1, now()
            FROM backup b JOIN backup_task_destinations d ON d.backup_task_id = b.backup_task_id RETURNING 1
        ) INSERT INTO prunes (backup_task_id, team_id, is_plan_due, wanted_at)
          SELECT id, team_id, true, now() FROM backup_tasks WHERE id = $1";
    world.execute(many, world.task_id).await;
    let binding = "UPDATE backup_destinations SET store_id = '00000000-0000-0000-0000-000000000000' WHERE team_id = $1";
    world.execute(binding, world.team_id).await;
    prune_task(world.context(FaultPoints::none()), BackupTaskId(world.task_id)).await;
    assert_eq!(world.count(IN_STATE, world.task_id).await, 1500);
    let committed = world.runs_in(world.task_id, "committed").await;
    let newest: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM backup_runs ORDER BY id DESC LIMIT 7").fetch_all(&world.pool).await.unwrap();
    assert_eq!(committed, newest.into_iter().rev().collect::<Vec<_>>());
}
