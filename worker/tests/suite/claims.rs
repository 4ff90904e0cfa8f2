//! Who may write: claims, leases, fencing.

use crate::harness::{World, taker};
use holdfast_domain::ids::TeamId;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::repositories::run_execution::RunEnding;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::lease::StopReason;
use std::time::{Duration, Instant};

#[tokio::test]
async fn of_many_claims_one_wins() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let claims = (0..50).map(|at| {
        let store = world.store.clone();
        async move { store.take_run(&taker(&format!("w{at}"), 90.0)).await.unwrap() }
    });
    let won = futures_util::future::join_all(claims).await.into_iter().flatten().count();
    assert_eq!(won, 1);
    assert_eq!(world.run(run).await.attempts, 1);
}

#[tokio::test]
async fn a_worker_of_an_older_epoch_changes_nothing() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let old = world.claim(run, "old", 0.0).await.unwrap();
    let new = world.claim(run, "new", 90.0).await.unwrap();
    assert_eq!((old.epoch, new.epoch), (1, 2));
    let tx = world.store.for_team(&world.access()).await.unwrap();
    let stale = tx.run_execution(run, old.epoch);
    let failure = Failure::new(Step::Stream, FailureCode::Internal, "late");
    let ending = RunEnding { failure: &failure, progress: &Default::default(), process_terminated: None };
    assert!(!stale.enter(RunStatus::Verifying, Step::Verify).await.unwrap());
    assert!(!stale.progress(&Default::default()).await.unwrap());
    assert!(!stale.end(RunStatus::Failed, &ending).await.unwrap());
    assert!(!stale.retry_later(&ending, 0.0).await.unwrap());
    assert!(!stale.hand_back(0.0).await.unwrap());
    let place = holdfast_domain::ids::BackupDestinationId(world.destination_id);
    assert_eq!(stale.note_object(place, "x").await.unwrap(), None);
    tx.append_run_lines(run, old.epoch, &["late".to_owned()]).await.unwrap();
    tx.commit().await.unwrap();
    let row = world.run(run).await;
    assert_eq!((row.status.as_str(), row.epoch, row.error_code), ("running", 2, None));
    assert_eq!(world.log(run).await.len(), 0);
    let outcomes: Vec<Option<String>> =
        sqlx::query_scalar("SELECT outcome FROM backup_run_attempts WHERE backup_run_id = $1 ORDER BY epoch")
            .bind(run.0)
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(outcomes, [Some("abandoned".to_owned()), None]);
}

#[tokio::test]
async fn a_lease_is_kept_and_its_loss_stops_the_work() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let context = world.context(FaultPoints::none());
    let claimed_at = Instant::now();
    let claimed = world.claim(run, "w", 3.0).await.unwrap();
    let claim = Claim { team_id: TeamId(world.team_id), leased: Leased::Run(run), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    // Longer than the lease: it was renewed.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!lease.stopped().is_cancelled());
    assert!(world.claim(run, "other", 3.0).await.is_none());
    // As if it had been paused: its lease ends and another worker claims.
    sqlx::query("UPDATE backup_runs SET lease_until = now() - interval '1 s' WHERE id = $1")
        .bind(run.0)
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(world.claim(run, "other", 30.0).await.is_some());
    tokio::time::timeout(Duration::from_secs(3), lease.stopped().cancelled()).await.expect("fenced in time");
    assert_eq!(lease.reason(), Some(StopReason::Fenced));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_busy_runtime_does_not_lose_a_lease() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let context = world.context(FaultPoints::none());
    let claimed_at = Instant::now();
    let claimed = world.claim(run, "w", 3.0).await.unwrap();
    let claim = Claim { team_id: TeamId(world.team_id), leased: Leased::Run(run), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    // Nothing else runs on this runtime meanwhile; the keeper has its own.
    std::thread::sleep(Duration::from_secs(5));
    assert!(!lease.stopped().is_cancelled());
    assert!(world.claim(run, "other", 3.0).await.is_none());
}

#[tokio::test]
async fn without_a_database_work_stops_before_the_lease_ends() {
    let cluster = holdfast_testbed::postgres::Cluster::start().await.unwrap();
    let world = World::on(cluster.database().await.unwrap()).await;
    let run = world.insert_run(world.task_id).await;
    let context = world.context(FaultPoints::none());
    let claimed_at = Instant::now();
    let claimed = world.claim(run, "w", 3.0).await.unwrap();
    let claim = Claim { team_id: TeamId(world.team_id), leased: Leased::Run(run), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    let begun = Instant::now();
    drop(cluster);
    tokio::time::timeout(Duration::from_secs(10), lease.stopped().cancelled()).await.expect("stops by itself");
    assert_eq!(lease.reason(), Some(StopReason::DatabaseLost));
    // It went on for a while, and not to the lease's end (3 s after a heartbeat that may be 0.5 s after `begun`).
    let lasted = begun.elapsed();
    assert!(lasted > Duration::from_secs(1) && lasted < Duration::from_millis(3400), "{lasted:?}");
}
