//! The scheduler: how long 100,000 tasks that are due in the same minute take one worker, how late a run begins that finds
//! capacity, and what a look at a full table of tasks costs while nothing is due.

use crate::figures::median;
use crate::list::teams;
use crate::session::{Bench, Session};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};
use std::time::{Duration, Instant};

const TEAMS: u32 = 1_000;
const TASKS_PER_TEAM: u32 = 100;
/// Between the start of one run and of the next, where capacity is free.
const APART: Duration = Duration::from_millis(500);
const PUNCTUAL: usize = 60;
const LOOKS: usize = 200;
const POLL: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);

/// Due in the second minute from now, so that everything is ready before.
const ALL_DUE: &str = "
    UPDATE backup_tasks SET frequency = 'daily', weekday = NULL, weekdays = '{}', next_slot_at = NULL,
        next_run_at = date_trunc('minute', now()) + interval '2 minutes',
        time_to_run_at = to_char((date_trunc('minute', now()) + interval '2 minutes') AT TIME ZONE 'UTC', 'HH24:MI')";

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let session = Session::open(bench, "schedule", async |port| Ok(port)).await?;
    let mut conn = PgConnection::connect_with(&teams::owner(&session.product.database_socket()?)).await?;
    let look_at_few = look_ms(&mut conn).await?;
    teams::fill(&session, TEAMS, TASKS_PER_TEAM).await?;
    let lateness = lateness(bench, &session, &mut conn).await?;
    conn.execute("VACUUM ANALYZE backup_tasks").await?;
    let look_at_all = look_ms(&mut conn).await?;
    let mut rounds = Vec::new();
    for round in 1..=bench.rounds {
        crate::eprint_line(&format!("   round {round} of {}", bench.rounds));
        rounds.push(storm(&mut conn).await?);
    }
    session.close().await?;
    Ok(text(&rounds, lateness, (look_at_few, look_at_all)))
}

/// How long after the minute half, 99 of 100 and all of the runs were queued, in seconds.
struct Storm {
    tasks: i64,
    half: f64,
    most: f64,
    all: f64,
}

async fn storm(conn: &mut PgConnection) -> Result<Storm> {
    // What the round before left is of no account here, and would be executed meanwhile.
    conn.execute("TRUNCATE backup_runs, apalis.jobs CASCADE").await?;
    let tasks = i64::try_from(conn.execute(ALL_DUE).await?.rows_affected())?;
    conn.execute("VACUUM ANALYZE backup_tasks; CHECKPOINT").await?;
    let started = Instant::now();
    let (mut half, mut most) = (None, None);
    loop {
        tokio::time::sleep(POLL).await;
        // The minute is told by the tasks that are still due, and by the runs of those that are not.
        let sql = "SELECT count(*), extract(epoch FROM clock_timestamp() - min(scheduled_for))::float8
                   FROM backup_runs WHERE trigger = 'schedule'";
        let row = sqlx::query(sql).fetch_one(&mut *conn).await?;
        let (count, since): (i64, Option<f64>) = (row.try_get(0)?, row.try_get(1)?);
        let Some(since) = since else {
            ensure!(started.elapsed() < PATIENCE, "nothing was queued");
            continue;
        };
        if count * 2 >= tasks {
            half.get_or_insert(since);
        }
        if count * 100 >= tasks * 99 {
            most.get_or_insert(since);
        }
        if count == tasks {
            let jobs: i64 = sqlx::query("SELECT count(DISTINCT backup_task_id) FROM backup_runs")
                .fetch_one(conn)
                .await?
                .try_get(0)?;
            ensure!(jobs == tasks, "{jobs} tasks have a run, and {tasks} were due");
            return Ok(Storm { tasks, half: half.unwrap_or(since), most: most.unwrap_or(since), all: since });
        }
        ensure!(started.elapsed() < PATIENCE, "{count} of {tasks} were queued in {PATIENCE:?}");
    }
}

/// Seconds from when runs were due until a worker had them, half and 99 of 100: one at a time, with a worker that has
/// nothing else to do.
async fn lateness(bench: &Bench, session: &Session, conn: &mut PgConnection) -> Result<(f64, f64)> {
    let folder = bench.path("punctual");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("file"), b"one small file\n")?;
    for _ in 0..PUNCTUAL {
        session.task(&folder, json!({"frequency": "manual", "encryption": {"mode": "managed"}})).await?;
    }
    let due = "UPDATE backup_tasks t SET next_run_at = date_trunc('second', now()) + interval '5 seconds' + n.n * $1 * interval '1 second'
               FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM backup_tasks WHERE frequency = 'manual') n
               WHERE n.id = t.id";
    sqlx::query(due).bind(APART.as_secs_f64()).execute(&mut *conn).await?;
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sql = "SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY late), percentile_disc(0.99) WITHIN GROUP (ORDER BY late)
                   FROM (SELECT extract(epoch FROM started_at - scheduled_for)::float8 AS late FROM backup_runs
                         WHERE trigger = 'schedule' AND started_at IS NOT NULL AND completed_at IS NOT NULL) l";
        let row = sqlx::query(sql).fetch_one(&mut *conn).await?;
        if usize::try_from(row.try_get::<i64, _>(0)?)? == PUNCTUAL {
            let figures: (Option<f64>, Option<f64>) = (row.try_get(1)?, row.try_get(2)?);
            return Ok((figures.0.context("no runs")?, figures.1.context("no runs")?));
        }
        ensure!(started.elapsed() < PATIENCE, "not every run ended");
    }
}

/// Milliseconds of what a worker asks while nothing is due.
async fn look_ms(conn: &mut PgConnection) -> Result<f64> {
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        let started = Instant::now();
        sqlx::query("SELECT next_task_due_secs()").fetch_one(&mut *conn).await?;
        looks.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(looks))
}

fn text(rounds: &[Storm], (half_late, most_late): (f64, f64), (few, all): (f64, f64)) -> String {
    let of = |figure: fn(&Storm) -> f64| median(rounds.iter().map(figure));
    let each = rounds.iter().map(|round| format!("{:.2}", round.all)).collect::<Vec<_>>().join(", ");
    let tasks = rounds.first().map_or(0, |round| round.tasks);
    format!(
        "## The scheduler\n\n\
         {tasks} tasks of {TEAMS} teams, all due in the same minute, with one worker that executes runs meanwhile and the \
         database on the same machine: half of the runs were queued (run, job and next due time committed) {half:.2} s after \
         the minute, 99 of 100 after {most:.2} s and **all after {whole:.2} s** (goal: ≤ 3 s), medians of {count} rounds; the \
         figure includes up to {poll:.1} s of the observer's own interval. All: {each}.\n\n\
         A run that is due while the worker has nothing else to do, one each {apart:.1} s, {PUNCTUAL} of them: a worker had it \
         {half_late:.2} s after it was due in the median, **{most_late:.2} s at p99** (goal: ≤ 1 s).\n\n\
         What a worker asks once a second while nothing is due takes {few:.2} ms with a handful of tasks and {all:.2} ms with \
         {tasks} (medians of {LOOKS}, round trip included): one look into one index, as a test shows.\n\n",
        half = of(|round| round.half),
        most = of(|round| round.most),
        whole = of(|round| round.all),
        count = rounds.len(),
        poll = POLL.as_secs_f64(),
        apart = APART.as_secs_f64(),
    )
}
