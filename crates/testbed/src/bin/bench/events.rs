//! Many readers of one run's live events on one api process: what they cost in memory, and that none of them misses anything.
//! The run is written to as a worker's journal writes, by the owner of the database.

use crate::list::owner;
use crate::session::{Bench, Session};
use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::processes::peak_memory_kib;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const READERS: usize = 1_000;
/// What the api may hold with all of them.
const GOAL_MIB: f64 = 100.0;
/// Writes, and how far apart.
const WRITES: u32 = 100;
const WRITE_EVERY: Duration = Duration::from_millis(200);
/// Lines of one write.
const LINES: u32 = 3;
/// For every reader to have its end.
const PATIENCE: Duration = Duration::from_secs(120);

const RUN: &str = "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, status, epoch, attempts, owner, started_at, lease_until)
                   SELECT team_id, id, 'BENCH', 'manual', 'running', 1, 1, 'bench', now(), now() + interval '1 hour'
                   FROM backup_tasks WHERE id = $1 RETURNING id";
const TOKEN: &str = "INSERT INTO tokens (team_id, user_id, name, secret_hash, abilities)
                     SELECT team_id, user_id, 'bench', sha256(convert_to('hf_' || lpad('1', 48, '0'), 'UTF8')),
                            (SELECT abilities FROM tokens ORDER BY id LIMIT 1)
                     FROM backup_tasks WHERE id = $1";
const WRITE: &str = "WITH lines AS (
                         INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, content)
                         SELECT r.team_id, r.id, $2 + n, 'Line ' || $2 + n || ' of a run that many people look at.'
                         FROM backup_runs r, generate_series(1, $3) n WHERE r.id = $1)
                     UPDATE backup_runs SET status = $4, progress = jsonb_build_object('original_size', $2 * 1000000),
                            completed_at = CASE WHEN $4 = 'running' THEN NULL ELSE now() END
                     WHERE id = $1";

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    more_descriptors()?;
    let session = Session::open(bench, "events", async |port| Ok(port)).await?;
    let task = session.task(Path::new("/srv/www"), json!({})).await?;
    let mut conn = PgConnection::connect_with(&owner(&session.product.database_socket()?)).await?;
    let run: i64 = sqlx::query_scalar(RUN).bind(task).fetch_one(&mut conn).await?;
    sqlx::query(TOKEN).bind(task).execute(&mut conn).await?;
    let token = format!("hf_{:048x}", 1);
    let address: SocketAddr = session.product.url().trim_start_matches("http://").parse()?;
    let api = session.product.of_role("api")?.first().context("there is no api")?.pid;
    let idle_kib = peak_memory_kib(api)?;
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let stream = open(address, run, &token).await?;
        readers.spawn(read(stream));
    }
    let open_kib = peak_memory_kib(api)?;
    for write in 0..WRITES {
        let status = if write + 1 == WRITES { "failed" } else { "running" };
        let said = i32::try_from(write * LINES)?;
        let writing = sqlx::query(WRITE).bind(run).bind(said).bind(i32::try_from(LINES)?).bind(status);
        writing.execute(&mut conn).await?;
        tokio::time::sleep(WRITE_EVERY).await;
    }
    let ended = Instant::now();
    let mut progress = Vec::with_capacity(READERS);
    while let Some(read) = tokio::time::timeout(PATIENCE, readers.join_next()).await.context("a reader has no end")? {
        progress.push(read??);
    }
    let late = ended.elapsed();
    let peak_kib = peak_memory_kib(api)?;
    session.close().await?;
    Ok(text([idle_kib, open_kib, peak_kib], &progress, late))
}

/// Each reader is a descriptor here and one there; a child has its parent's limit.
fn more_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    ensure!(limit.maximum.is_none_or(|most| most >= 4_096), "4,096 descriptors are needed (ulimit -n)");
    setrlimit(
        Resource::Nofile,
        Rlimit { current: limit.maximum.map(|most| most.min(65_536)).or(Some(65_536)), ..limit },
    )?;
    Ok(())
}

/// HTTP/1.0: the answer comes without chunks, and ends with the connection.
async fn open(address: SocketAddr, run: i64, token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /api/backup-runs/{run}/events HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Every line once and in order, and the end after the last; how many `progress` events there were.
async fn read(mut stream: TcpStream) -> Result<usize> {
    let (mut text, mut next, mut progress) = (Vec::new(), 1, 0);
    loop {
        let read = stream.read_buf(&mut text).await?;
        while let Some(at) = text.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = text.drain(..at + 2).collect();
            let block = String::from_utf8(block)?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            match field("event: ") {
                Some("log") => {
                    ensure!(field("id: ") == Some(next.to_string().as_str()), "line {next} was expected: {block}");
                    next += 1;
                }
                Some("progress") => progress += 1,
                Some("end") => {
                    ensure!(next == WRITES * LINES + 1, "the end came after {} lines", next - 1);
                    return Ok(progress);
                }
                Some("closed") => bail!("{block}"),
                _ => {}
            }
        }
        ensure!(read > 0, "the stream ended before the run: {}", String::from_utf8_lossy(&text));
    }
}

fn text([idle, open, peak]: [u64; 3], progress: &[usize], late: Duration) -> String {
    let mib = |kib: u64| kib as f64 / 1024.0;
    format!(
        "## Live events\n\n\
         {READERS} readers of one run's `GET …/events` on one api process, each over a connection of its own, while the run gets \
         {lines} log lines in {WRITES} writes, {every} ms apart. Most memory that the api held: {idle:.0} MiB before them, \
         {open:.0} MiB once all were there, **{peak:.0} MiB** in all (goal: ≤ {GOAL_MIB:.0}). Every reader got every line once and in \
         order, and the end after the last; the last reader had it {late:.1} s after the last write. Each got at least {few} \
         `progress` events: writes that come while the row is read are told together.\n\n",
        lines = WRITES * LINES,
        every = WRITE_EVERY.as_millis(),
        idle = mib(idle),
        open = mib(open),
        peak = mib(peak),
        late = late.as_secs_f64(),
        few = progress.iter().min().copied().unwrap_or(0),
    )
}
