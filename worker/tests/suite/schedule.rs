//! Due tasks become runs, once.

use crate::harness::World;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::reconcile::due_tasks;

async fn make_due(world: &World, sql: &'static str) {
    sqlx::query(sql).bind(world.task_id).execute(&world.pool).await.unwrap();
}

const DUE: &str = "UPDATE backup_tasks SET frequency = 'daily', time_to_run_at = '03:00',
                   next_run_at = now() - interval '2 days' WHERE id = $1";
const RUNS: &str = "SELECT count(*) FROM backup_runs WHERE trigger = 'schedule' AND backup_task_id = $1";

#[tokio::test]
async fn a_due_time_makes_one_run_and_one_job_however_many_schedulers_look() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    make_due(&world, DUE).await;
    let rounds = (0..8).map(|_| due_tasks::reconcile(&context));
    for round in futures_util::future::join_all(rounds).await {
        round.unwrap();
    }
    // Two days were missed: they are made up for once.
    assert_eq!(world.count(RUNS, world.task_id).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE $1 > 0", 1).await, 1);
    let due = "SELECT count(*) FROM backup_tasks WHERE next_run_at > now() AND next_run_at <= now() + interval '1 day'
               AND id = $1";
    assert_eq!(world.count(due, world.task_id).await, 1);
}

#[tokio::test]
async fn while_a_run_is_active_a_due_time_is_skipped() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    world.insert_run(world.task_id).await;
    make_due(&world, DUE).await;
    due_tasks::reconcile(&context).await.unwrap();
    let skipped = "SELECT count(*) FROM backup_runs WHERE status = 'skipped' AND completed_at IS NOT NULL
                   AND backup_task_id = $1";
    assert_eq!(world.count(skipped, world.task_id).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE $1 > 0", 1).await, 0);
}

#[tokio::test]
async fn a_paused_or_deleted_task_is_not_due() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    make_due(&world, DUE).await;
    make_due(&world, "UPDATE backup_tasks SET paused_at = now() WHERE id = $1").await;
    due_tasks::reconcile(&context).await.unwrap();
    make_due(&world, "UPDATE backup_tasks SET paused_at = NULL, deleted_at = now() WHERE id = $1").await;
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(RUNS, world.task_id).await, 0);
}
