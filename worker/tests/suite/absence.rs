//! An absence is over when a success comes, and only then.

use crate::harness::World;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::reconcile::absence;

/// Overdue since yesterday's 03:00.
const OVERDUE: &str = "UPDATE backup_tasks SET frequency = 'daily', time_to_run_at = '03:00' WHERE id = $1";
const MISSED: &str = "UPDATE backup_tasks SET next_success_expected_by = now() - interval '1 hour', is_expectation_due = false
                      WHERE id = $1";
const IS_OVERDUE: &str = "SELECT count(*) FROM backup_tasks WHERE overdue_since IS NOT NULL AND id = $1";
const IS_EXPECTED: &str = "SELECT count(*) FROM backup_tasks
                           WHERE next_success_expected_by > now() AND NOT is_expectation_due AND id = $1";

async fn set(world: &World, sql: &'static str) {
    sqlx::query(sql).bind(world.task_id).execute(&world.pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_ends_an_absence_and_a_failure_does_not() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    set(&world, OVERDUE).await;
    set(&world, MISSED).await;
    absence::reconcile(&context).await.unwrap();
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 1);

    let worker = world.worker(FaultPoints::none()).await;
    let hidden = world.tree.with_extension("away");
    std::fs::rename(&world.tree, &hidden).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "failed");
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 1);

    std::fs::rename(&hidden, &world.tree).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    assert_eq!(world.count(IS_OVERDUE, world.task_id).await, 0);
    worker.stop().await;
    absence::reconcile(&context).await.unwrap();
    assert_eq!(world.count(IS_EXPECTED, world.task_id).await, 1);
}
