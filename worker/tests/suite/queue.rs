//! What we put on the queue is what the queue library would have put there.

use crate::harness::World;
use apalis_postgres::PgTask;
use holdfast_store::queue::{self, ExecuteRun, Job};
use sqlx::Row;

const ROW: &str = "SELECT to_jsonb(j) - 'id' - 'run_at' - 'idempotency_key' AS rest, length(id) AS id_length,
                          run_at <= now() AND run_at > now() - interval '3 s' AS is_now,
                          date_trunc('second', run_at) = run_at AS is_whole, convert_from(job, 'UTF8') AS job
                   FROM apalis.jobs j WHERE job_type = $1";

#[tokio::test]
async fn our_row_is_the_librarys_row() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    queue::enqueue(&tx, Job::ExecuteRun(run, 1)).await.unwrap();
    tx.commit().await.unwrap();
    let job = serde_json::to_vec(&ExecuteRun { backup_run_id: run }).unwrap();
    let mut conn = world.pool.acquire().await.unwrap();
    apalis_postgres::queries::push_tasks(&mut *conn, "theirs", vec![PgTask::new(job)]).await.unwrap();
    let ours = sqlx::query(ROW).bind(queue::EXECUTE_RUN).fetch_one(&world.pool).await.unwrap();
    let theirs = sqlx::query(ROW).bind("theirs").fetch_one(&world.pool).await.unwrap();
    let rest = |row: &sqlx::postgres::PgRow| {
        let mut rest: serde_json::Value = row.get("rest");
        rest["job_type"] = "".into();
        rest
    };
    assert_eq!(rest(&ours), rest(&theirs));
    for column in ["is_now", "is_whole"] {
        assert!(ours.get::<bool, _>(column) && theirs.get::<bool, _>(column), "{column}");
    }
    assert_eq!(ours.get::<i32, _>("id_length"), theirs.get::<i32, _>("id_length"));
    assert_eq!(ours.get::<String, _>("job"), theirs.get::<String, _>("job"));
}

#[tokio::test]
async fn an_attempt_has_one_job_and_a_taken_key_does_not_break_the_transaction() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    for attempt in [1, 1, 2] {
        queue::enqueue(&tx, Job::ExecuteRun(run, attempt)).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE $1 > 0", 1).await, 2);
}

#[tokio::test]
async fn a_job_of_a_transaction_that_rolled_back_is_not_there() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    queue::enqueue(&tx, Job::ExecuteRun(run, 1)).await.unwrap();
    drop(tx);
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE $1 > 0", 1).await, 0);
}

#[tokio::test]
async fn nudges_do_not_pile_up() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    for bucket in 0..5 {
        let tx = world.store.for_team(&world.access()).await.unwrap();
        queue::nudge(&tx, Job::ExecuteRun(run, 1), bucket).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM apalis.jobs WHERE $1 > 0", 1).await, 1);
}

#[tokio::test]
async fn a_delayed_job_is_not_due_before_its_time() {
    let world = World::new().await;
    let run = world.insert_run(world.task_id).await;
    let tx = world.store.for_team(&world.access()).await.unwrap();
    queue::enqueue_after(&tx, Job::ExecuteRun(run, 2), 59.5).await.unwrap();
    tx.commit().await.unwrap();
    let due = "SELECT count(*) FROM apalis.jobs WHERE run_at BETWEEN now() + interval '57 s' AND now() + interval '61 s' AND $1 = 1";
    assert_eq!(world.count(due, 1).await, 1);
}
