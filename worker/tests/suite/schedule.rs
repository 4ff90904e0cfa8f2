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

const LIMIT: &str =
    "INSERT INTO team_limits (team_id, limits) SELECT team_id, '{\"runs_at_once\": 2}' FROM backup_tasks
                     WHERE id = $1 ON CONFLICT (team_id) DO UPDATE SET limits = excluded.limits";
const UNFINISHED: &str =
    "SELECT count(*) FROM backup_runs WHERE trigger = 'schedule' AND status = 'queued' AND team_id = $1";

#[tokio::test]
async fn a_team_never_has_more_scheduled_runs_at_once_than_it_may_and_loses_none() {
    let world = World::new().await;
    make_due(&world, LIMIT).await;
    let mut tasks = vec![world.task_id];
    for _ in 0..4 {
        tasks.push(world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await);
    }
    for task in &tasks {
        sqlx::query(DUE).bind(task).execute(&world.pool).await.unwrap();
    }
    let context = world.context(FaultPoints::none());
    for expected in [2, 2, 1, 0] {
        let rounds = (0..6).map(|_| due_tasks::reconcile(&context));
        for round in futures_util::future::join_all(rounds).await {
            round.unwrap();
        }
        due_tasks::reconcile(&context).await.unwrap();
        assert_eq!(world.count(UNFINISHED, world.team_id).await, expected);
        let end = "UPDATE backup_runs SET status = 'failed', completed_at = now() WHERE status = 'queued'";
        sqlx::query(end).execute(&world.pool).await.unwrap();
    }
    let each = "SELECT count(DISTINCT backup_task_id) FROM backup_runs WHERE trigger = 'schedule' AND team_id = $1";
    assert_eq!(world.count(each, world.team_id).await, 5, "each task had its run, some of them later");
}

#[tokio::test]
async fn a_task_that_runs_is_skipped_even_where_the_team_has_all_its_runs() {
    let world = World::new().await;
    make_due(&world, LIMIT).await;
    let other = world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await;
    world.insert_run(world.task_id).await;
    world.insert_run(other).await;
    make_due(&world, DUE).await;
    due_tasks::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    let skipped = "SELECT count(*) FROM backup_runs WHERE status = 'skipped' AND backup_task_id = $1";
    assert_eq!(world.count(skipped, world.task_id).await, 1);
}

#[tokio::test]
async fn a_suspended_teams_schedule_goes_on_without_runs_and_makes_up_for_none() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    let suspend = "UPDATE teams SET suspended_at = now() WHERE id = (SELECT team_id FROM backup_tasks WHERE id = $1)";
    make_due(&world, suspend).await;
    make_due(&world, DUE).await;
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(RUNS, world.task_id).await, 0);
    let later = "SELECT count(*) FROM backup_tasks WHERE next_run_at > now() AND id = $1";
    assert_eq!(world.count(later, world.task_id).await, 1);
    make_due(&world, "UPDATE teams SET suspended_at = NULL WHERE id > 0 AND $1 > 0").await;
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(RUNS, world.task_id).await, 0, "nothing is made up for");
    make_due(&world, DUE).await;
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(RUNS, world.task_id).await, 1, "and it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_a_due_time_is_skipped_and_says_why() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    worker.stop().await;
    let full = "INSERT INTO team_limits (team_id, limits) SELECT team_id, '{\"stored_bytes\": 1}' FROM backup_tasks WHERE id = $1";
    make_due(&world, full).await;
    make_due(&world, DUE).await;
    due_tasks::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    let skipped = "SELECT count(*) FROM backup_runs WHERE status = 'skipped' AND error_message LIKE '%bytes%'
                   AND backup_task_id = $1";
    assert_eq!(world.count(skipped, world.task_id).await, 1);
}
