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

const MISSED: &str = "SELECT count(*) FROM backup_runs WHERE status = 'missed' AND completed_at IS NOT NULL
                      AND backup_task_id = $1";

#[tokio::test]
async fn what_a_task_chose_becomes_of_missed_due_times() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    let hourly =
        "UPDATE backup_tasks SET frequency = 'hourly', minute = extract(minute FROM now() - interval '30 minutes'),
                  next_run_at = date_trunc('minute', now() - interval '5 hours 30 minutes') WHERE id = $1";
    make_due(&world, hourly).await;
    make_due(&world, "UPDATE backup_tasks SET catch_up = 'spread' WHERE id = $1").await;
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(RUNS, world.task_id).await, 0, "not with all others");
    let later = "SELECT count(*) FROM backup_tasks WHERE next_slot_at < now() - interval '5 hours'
                 AND next_run_at BETWEEN now() AND now() + interval '30 minutes' AND id = $1";
    assert_eq!(world.count(later, world.task_id).await, 1, "before the next one is due");
    make_due(&world, "UPDATE backup_tasks SET next_run_at = now() WHERE id = $1").await;
    due_tasks::reconcile(&context).await.unwrap();
    let made_up = "SELECT count(*) FROM backup_runs r WHERE r.status = 'queued' AND r.backup_task_id = $1
                   AND r.scheduled_for < now() - interval '5 hours'";
    assert_eq!(world.count(made_up, world.task_id).await, 1);

    let other = world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await;
    sqlx::query(hourly).bind(other).execute(&world.pool).await.unwrap();
    sqlx::query("UPDATE backup_tasks SET catch_up = 'skip' WHERE id = $1")
        .bind(other)
        .execute(&world.pool)
        .await
        .unwrap();
    due_tasks::reconcile(&context).await.unwrap();
    due_tasks::reconcile(&context).await.unwrap();
    assert_eq!(world.count(MISSED, other).await, 6);
    assert_eq!(world.count("SELECT count(*) FROM backup_tasks WHERE next_run_at > now() AND id = $1", other).await, 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_no_other_and_is_told_to_its_owner() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    let bad = world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await;
    let sql = "UPDATE backup_tasks SET frequency = 'custom', custom_cron = 'x', next_run_at = now() - interval '3 days'
               WHERE id = $1";
    sqlx::query(sql).bind(bad).execute(&world.pool).await.unwrap();
    make_due(&world, DUE).await;
    for _ in 0..2 {
        due_tasks::reconcile(&context).await.unwrap();
    }
    assert_eq!(world.count(RUNS, world.task_id).await, 1);
    assert_eq!(world.count(MISSED, bad).await, 1);
    assert_eq!(world.count("SELECT count(*) FROM backup_tasks WHERE next_run_at IS NULL AND id = $1", bad).await, 1);
    let told = "SELECT count(*) FROM deliveries WHERE message ->> 'reason' LIKE 'Its schedule cannot be read%'
                AND user_id IS NOT NULL AND team_id = $1";
    assert_eq!(world.count(told, world.team_id).await, 1, "nobody's stream hears of it: its owner does");
}

#[tokio::test]
async fn a_row_that_the_database_refuses_stops_no_other() {
    let world = World::new().await;
    let context = world.context(FaultPoints::none());
    let bad = world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await;
    let sql = "UPDATE backup_tasks SET frequency = 'daily', time_to_run_at = '03:00',
               next_run_at = now() - interval '3 days' WHERE id = $1";
    sqlx::query(sql).bind(bad).execute(&world.pool).await.unwrap();
    for _ in 0..5 {
        let other = world.add_task(serde_json::json!({"kind": "files", "paths": [world.tree]})).await;
        sqlx::query(DUE).bind(other).execute(&world.pool).await.unwrap();
    }
    // Any row of the bad task breaks the whole statement.
    let trap = format!(
        "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                        IF NEW.backup_task_id = {bad} THEN RAISE 'trapped'; END IF; RETURN NEW; END $$"
    );
    sqlx::query(sqlx::AssertSqlSafe(trap)).execute(&world.pool).await.unwrap();
    let on = "CREATE TRIGGER trap BEFORE INSERT ON backup_runs FOR EACH ROW EXECUTE FUNCTION trap()";
    sqlx::query(on).execute(&world.pool).await.unwrap();
    due_tasks::reconcile(&context).await.unwrap();
    let each = "SELECT count(*) FROM backup_runs WHERE trigger = 'schedule' AND team_id = $1";
    assert_eq!(world.count(each, world.team_id).await, 5);
    assert_eq!(world.count("SELECT count(*) FROM backup_tasks WHERE next_run_at < now() AND id = $1", bad).await, 1);
}

/// What an idle scheduler asks, each time it looks: one index, from its beginning, however many tasks there are.
#[tokio::test]
async fn an_idle_tick_is_one_index_scan() {
    let world = World::new().await;
    let many =
        "INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, type, source, frequency, next_run_at,
                                          max_backups, encryption_mode, seal_id)
                SELECT t.team_id, t.user_id, t.remote_server_id, n::text, t.type, t.source, 'daily',
                       now() + n * interval '1 second', 0, 'managed', gen_random_uuid()
                FROM backup_tasks t, generate_series(1, 20000) n WHERE t.id = $1";
    make_due(&world, many).await;
    sqlx::query("ANALYZE backup_tasks").execute(&world.pool).await.unwrap();
    let query: String = sqlx::query_scalar("SELECT prosrc FROM pg_proc WHERE proname = 'next_task_due_secs'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) {query}");
    let lines: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&world.pool).await.unwrap();
    let plan = lines.join("\n");
    assert!(plan.contains("using backup_tasks_due"), "{plan}");
    assert!(!plan.contains("Seq Scan") && plan.contains("rows=1 "), "{plan}");
    let due = world.context(FaultPoints::none()).store.next_due_in().await.unwrap();
    assert!(due.is_some_and(|due| due.as_secs() <= 1), "{due:?}");
}
