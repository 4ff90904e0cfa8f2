//! The log of a run, and its figures from one attempt to the next: each line once, bounded, and nothing goes back.

use crate::harness::World;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::progress::Progress;
use holdfast_store::repositories::run_log::{LINES_FOR_THE_END, LINES_PER_RUN, SaidLines};
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use std::time::{Duration, Instant};

async fn append(world: &World, run: BackupRunId, (epoch, from): (i32, i32), lines: &[&str], is_end: bool) {
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let said = SaidLines { from, lines: lines.iter().map(|line| (*line).to_owned()).collect() };
    tx.append_said_lines(run, epoch, &said, is_end).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_line_that_is_said_again_because_nobody_knows_is_written_once() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    world.claim(run, "w", 0.0).await.unwrap();
    append(&world, run, (1, 0), &["a", "b"], false).await;
    append(&world, run, (1, 0), &["a", "b"], false).await;
    append(&world, run, (1, 0), &["a", "b", "c"], false).await;
    append(&world, run, (1, 3), &["c"], true).await;
    assert_eq!(world.log(run).await, ["a", "b", "c", "c"], "the same words said twice are two lines");
    // Another attempt counts from its own beginning, and the old one has nothing to say any more.
    world.claim(run, "w", 90.0).await.unwrap();
    append(&world, run, (2, 0), &["d"], false).await;
    append(&world, run, (1, 4), &["late"], true).await;
    assert_eq!(world.log(run).await, ["a", "b", "c", "c", "d"]);
}

#[tokio::test]
async fn a_full_log_says_so_and_still_says_how_it_ended() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    world.claim(run, "w", 90.0).await.unwrap();
    let long = "é".repeat(900);
    for part in 0..21 {
        append(&world, run, (1, part * 100), &vec![long.as_str(); 100], false).await;
    }
    let before = world.log(run).await;
    let most = usize::try_from(LINES_PER_RUN).unwrap() - LINES_FOR_THE_END;
    assert_eq!(before.len(), most);
    assert_eq!(before[0].chars().count(), 501, "what was cut ends with a mark");
    assert_eq!(before.iter().filter(|line| line.starts_with("The log is full.")).count(), 1);
    assert!(before[most - 1].starts_with("The log is full."));
    append(&world, run, (1, 2_100), &[vec![long.as_str(); 300], vec!["the end"]].concat(), true).await;
    let after = world.log(run).await;
    assert_eq!((after.len(), after.last().unwrap().as_str()), (2_000, "the end"));
}

#[tokio::test]
async fn logs_go_by_age_and_by_size_and_runs_stay() {
    let world = World::new().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        let run = world.insert_run(world.task_id).await;
        world.claim(run, "w", 90.0).await.unwrap();
        append(&world, run, (1, 0), &["0123456789"], true).await;
        let end = "UPDATE backup_runs SET status = 'failed', completed_at = now() WHERE id = $1";
        sqlx::query(end).bind(run.0).execute(&world.pool).await.unwrap();
        runs.push(run);
    }
    let lengths = async || {
        let mut all = Vec::new();
        for run in &runs {
            all.push(world.log(*run).await.len());
        }
        all
    };
    assert_eq!(world.store.purge_run_logs(0.0, 0, 100).await.unwrap(), 0, "without limits nothing goes");
    let old = "UPDATE backup_runs SET completed_at = now() - interval '2 days' WHERE id = $1";
    sqlx::query(old).bind(runs[2].0).execute(&world.pool).await.unwrap();
    assert_eq!(world.store.purge_run_logs(86_400.0, 0, 100).await.unwrap(), 1);
    assert_eq!(lengths().await, [1, 1, 0, 1]);
    // The newest 20 bytes stay.
    assert_eq!(world.store.purge_run_logs(0.0, 20, 100).await.unwrap(), 1);
    assert_eq!(lengths().await, [0, 1, 0, 1]);
    let running = "UPDATE backup_runs SET status = 'running' WHERE id = $1";
    sqlx::query(running).bind(runs[1].0).execute(&world.pool).await.unwrap();
    assert_eq!(world.store.purge_run_logs(0.000_1, 1, 100).await.unwrap(), 1, "a run that is not over keeps its log");
    assert_eq!(lengths().await, [0, 1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_takes_nothing_back_and_a_success_has_its_own_figures() {
    let world = World::new().await;
    let run = world.queue_run().await;
    world.claim(run, "gone", 0.0).await.unwrap();
    let reached = Progress { original_size: 5_000_000_000, nfiles: 70_000, ..Progress::default() };
    let tx = world.store.for_team(&world.access()).await.unwrap();
    assert!(tx.run_execution(run, 1).progress(&reached).await.unwrap());
    tx.commit().await.unwrap();
    let (faults, hold) = FaultPoints::hold(FaultPoint::Stored);
    let worker = world.worker(faults).await;
    hold.reached().await;
    let begun = Instant::now();
    let shown = loop {
        let shown: Progress = serde_json::from_value(world.run(run).await.progress).unwrap();
        if shown.attempt_original_size.is_some_and(|size| size > 0) {
            break shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{shown:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((shown.original_size, shown.nfiles), (5_000_000_000, 70_000));
    hold.release();
    let row = world.until_over(run).await;
    let last: Progress = serde_json::from_value(row.progress.clone()).unwrap();
    assert_eq!((row.status.as_str(), last.attempt_original_size), ("succeeded", None), "{row:#?}");
    assert!(last.original_size > 0 && last.original_size < 5_000_000_000);
    worker.stop().await;
}
