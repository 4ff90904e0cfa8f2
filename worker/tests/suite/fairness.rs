//! How many runs go on at once, and in which order queued ones are taken.

use crate::harness::{Worker, World, taker};
use holdfast_domain::ids::BackupRunId;
use holdfast_store::taking::Taker;
use holdfast_worker::faults::FaultPoints;
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

const LATER: &str = "UPDATE backup_runs SET not_before = now() - interval '1 second' WHERE id = $1";
const END: &str = "UPDATE backup_runs SET status = 'succeeded', lease_until = NULL, completed_at = now() WHERE id = $1";
/// Runs of `$1` tasks that a team has besides its own, on one more server that takes many at once.
const QUEUE: &str = "
    WITH server AS (
        INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id, runs_at_once)
        VALUES ($1, $2, 'many', 'many.example', 22, $4, gen_random_uuid(), 100) RETURNING id, team_id, user_id),
    tasks AS (
        INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, type, source, frequency, max_backups, seal_id)
        SELECT team_id, user_id, id, 'task', 'files', '{}', 'manual', 3, gen_random_uuid()
        FROM server, generate_series(1, $3) RETURNING id, team_id, remote_server_id, priority)
    INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, remote_server_id, priority)
    SELECT team_id, id, 'U' || id, 'manual', remote_server_id, priority FROM tasks";

impl World {
    async fn a_task(&self) -> i64 {
        self.add_task(json!({"kind": "files", "paths": [self.tree]})).await
    }

    async fn a_run(&self) -> BackupRunId {
        self.insert_run(self.a_task().await).await
    }

    async fn taken(&self) -> Option<BackupRunId> {
        self.store.take_run(&taker("w", 60.0)).await.unwrap().map(|claimed| claimed.id)
    }

    async fn sql(&self, sql: &'static str, id: i64) {
        sqlx::query(sql).bind(id).execute(&self.pool).await.unwrap();
    }

    /// A second team, with an account of its own.
    async fn other_team(&self) -> (i64, i64) {
        let account = "SELECT team_id, user_id FROM create_account($1, 'B', 'x', 'UTC', $2, false)";
        let email = format!("{}@example.org", Uuid::new_v4());
        let row = sqlx::query(account).bind(email).bind(Uuid::new_v4()).fetch_one(&self.pool).await.unwrap();
        (row.get(0), row.get(1))
    }

    async fn queue_many(&self, (team, user): (i64, i64), runs: i32) {
        let query = sqlx::query(QUEUE).bind(team).bind(user).bind(runs).bind(Uuid::new_v4().to_string());
        query.execute(&self.pool).await.unwrap();
        sqlx::query("ANALYZE backup_runs").execute(&self.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_takes_one_run_at_once_and_another_waits_unless_it_may_more() {
    let world = World::new().await;
    let (first, second) = (world.a_run().await, world.a_run().await);
    assert_eq!(world.taken().await, Some(first));
    assert_eq!(world.taken().await, None);
    assert_eq!(world.run(second).await.status, "queued");
    world.sql("UPDATE remote_servers SET runs_at_once = 2 WHERE id = $1", world.server_id).await;
    assert_eq!(world.taken().await, Some(second));
    let third = world.a_run().await;
    assert_eq!(world.taken().await, None);
    world.sql(END, first.0).await;
    assert_eq!(world.taken().await, Some(third));
}

#[tokio::test]
async fn a_destination_and_a_team_have_limits_too() {
    let world = World::new().await;
    world.sql("UPDATE remote_servers SET runs_at_once = 100 WHERE id = $1", world.server_id).await;
    world.sql("UPDATE backup_destinations SET runs_at_once = 2 WHERE id = $1", world.destination_id).await;
    for _ in 0..2 {
        world.a_run().await;
        assert!(world.taken().await.is_some());
    }
    world.a_run().await;
    assert_eq!(world.taken().await, None, "the destination has two");
    world.sql("UPDATE backup_destinations SET runs_at_once = NULL WHERE id = $1", world.destination_id).await;
    let usual = Taker { usual_runs_at_once: 2, ..taker("w", 60.0) };
    assert_eq!(world.store.take_run(&usual).await.unwrap(), None, "the team has two");
    let own = "INSERT INTO team_limits (team_id, limits) VALUES ($1, '{\"runs_at_once\": 3}')";
    world.sql(own, world.team_id).await;
    assert!(world.store.take_run(&usual).await.unwrap().is_some(), "its own limit counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_server_never_overlap_whatever_the_workers_could() {
    let world = World::new().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(world.queue_run_of(world.a_task().await).await);
    }
    let workers =
        [world.worker(FaultPoints::none()).await, Worker::start(world.context_without_root(FaultPoints::none())).await];
    for run in runs {
        assert_eq!(world.until_over(run).await.status, "succeeded");
    }
    let overlaps =
        "SELECT count(*) FROM backup_run_attempts a JOIN backup_run_attempts b ON a.backup_run_id < b.backup_run_id
                    WHERE a.team_id = $1 AND a.started_at < b.ended_at AND b.started_at < a.ended_at";
    assert_eq!(world.count(overlaps, world.team_id).await, 0);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_higher_priority_is_taken_first_and_else_what_was_due_first() {
    let world = World::new().await;
    world.sql("UPDATE remote_servers SET runs_at_once = 100 WHERE id = $1", world.server_id).await;
    let (urgent, plain) = (world.a_task().await, world.a_task().await);
    world.sql("UPDATE backup_tasks SET priority = 9 WHERE id = $1", urgent).await;
    let (newer, older) = (world.insert_run(plain).await, world.a_run().await);
    world.sql(LATER, older.0).await;
    let urgent = world.insert_run(urgent).await;
    assert_eq!(
        [world.taken().await, world.taken().await, world.taken().await],
        [Some(urgent), Some(older), Some(newer)]
    );
}

#[tokio::test]
async fn a_long_queue_of_one_team_delays_another_team_by_one_run_at_most() {
    let world = World::new().await;
    let other = world.other_team().await;
    // Nobody's destination decides here: these have none.
    world.queue_many(other, 10_000).await;
    for _ in 0..3 {
        assert!(world.taken().await.is_some());
        let ours = world.a_run().await;
        let next = [world.taken().await.unwrap(), world.taken().await.unwrap()];
        assert!(next.contains(&ours), "two more were begun, and neither is ours");
        world.sql(END, ours.0).await;
    }
}

#[tokio::test]
async fn a_busy_server_hides_no_other_one_however_long_its_queue_is() {
    let world = World::new().await;
    let team = (world.team_id, world.user_id);
    world.queue_many(team, 500).await;
    world.sql("UPDATE remote_servers SET runs_at_once = 1 WHERE label = 'many' AND team_id = $1", world.team_id).await;
    assert!(world.taken().await.is_some());
    let ours = world.a_run().await;
    assert_eq!(world.taken().await, Some(ours));
    assert_eq!(world.taken().await, None);
}

#[tokio::test]
async fn the_next_run_is_found_by_index_whatever_waits() {
    let world = World::new().await;
    world.queue_many((world.team_id, world.user_id), 20_000).await;
    for (function, index) in
        [("next_backup_run", "backup_runs_order"), ("next_backup_run_by_server", "backup_runs_server_order")]
    {
        let mut conn = world.pool.acquire().await.unwrap();
        let body: String = sqlx::query_scalar("SELECT prosrc FROM pg_proc WHERE proname = $1")
            .bind(function)
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        let prepare = format!("PREPARE p_{function} (bigint, text, text[], integer, double precision) AS {body}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *conn).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE p_{function} ({}, 'w', '{{}}', 3, 45)", world.team_id);
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *conn).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("Seq Scan on backup_runs"), "{plan}");
    }
}

#[tokio::test]
async fn a_run_behind_another_waits_for_its_end() {
    let world = World::new().await;
    world.sql("UPDATE remote_servers SET runs_at_once = 100 WHERE id = $1", world.server_id).await;
    let first = world.insert_run(world.task_id).await;
    let behind: i64 = sqlx::query_scalar(
        "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, is_behind)
         VALUES ($1, $2, 'BEHIND', 'manual', true) RETURNING id",
    )
    .bind(world.team_id)
    .bind(world.task_id)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(world.taken().await, Some(first));
    assert_eq!(world.taken().await, None);
    world.sql("UPDATE backup_runs SET status = 'queued', lease_until = NULL, not_before = now() + interval '1 hour' WHERE id = $1", first.0).await;
    assert_eq!(world.taken().await, None, "the first one is tried again before");
    world.sql(END, first.0).await;
    assert_eq!(world.taken().await, Some(BackupRunId(behind)));
}
