//! Workers killed with -9, twenty times: at each of the nine numbered points of a run, and at eleven byte counts chosen
//! at random. Every run ends, no success is a false one, nothing is left.

use crate::stage::{POLL, Role, Stage, TREE_BYTES};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::{FaultProxy, LinkPlan};
use holdfast_testbed::postgres::Database;
use rustix::process::Signal;
use serde_json::Value;
use std::time::Instant;

/// In the order of `FaultPoint::ALL`; a name that does not exist would kill nobody, and the test would say so.
const POINTS: [&str; 9] = [
    "claimed",
    "connected",
    "noted",
    "streaming",
    "source_ended",
    "stored",
    "verified",
    "manifest_written",
    "committed",
];
const AT_RANDOM: usize = 11;
const MAX_ATTEMPTS: i64 = 3;

/// A success comes back equal; anything else is `abandoned`, and only once no attempt was left.
async fn judge(stage: &Stage, run: &Value) -> Result<bool> {
    if run["status"] == "succeeded" {
        stage.assert_comes_back(run).await?;
        return Ok(true);
    }
    ensure!(run["status"] == "failed" && run["error_code"] == "abandoned", "it ended so: {run:#}");
    ensure!(run["attempt"] == MAX_ATTEMPTS && run["backup_id"].is_null(), "abandoned too early: {run:#}");
    Ok(false)
}

#[tokio::test]
async fn a_worker_dies_at_every_point_of_a_run() -> Result<()> {
    let stage = Stage::start().await?;
    let mut runs = Vec::new();
    for _ in POINTS {
        runs.push(stage.start_run(stage.server).await?);
    }
    // Each takes one run and dies of it.
    let victims: Result<Vec<Role>> = POINTS.iter().map(|point| stage.worker_that_dies(point)).collect();
    for (mut victim, point) in victims?.into_iter().zip(POINTS) {
        victim.until_killed().await.context(point)?;
    }
    let _survivors = [stage.worker()?, stage.worker()?];
    let mut good = 0;
    for run in &runs {
        let run = stage.ended(run).await?;
        good += usize::from(judge(&stage, &run).await?);
    }
    // Nine deaths abandon three runs at most, and one death comes after its run's success.
    ensure!(good >= 6, "only {good} of {} runs succeeded", runs.len());
    let backups: i64 = sqlx::query_scalar("SELECT count(*) FROM backups").fetch_one(&stage.pool).await?;
    ensure!(backups == i64::try_from(good)?, "{backups} backups of {good} runs that succeeded");
    stage.assert_clean().await
}

#[tokio::test]
async fn a_worker_dies_after_any_number_of_bytes() -> Result<()> {
    // Slow enough for another process to see the byte and kill in time.
    let plan = LinkPlan { bytes_per_second: 5_000_000, ..LinkPlan::default() };
    let stage = Stage::with(Database::fresh().await?, &[("HOLDFAST__WORKER__CONCURRENCY", "1")], "").await?;
    let mut links = Vec::new();
    for _ in 0..AT_RANDOM {
        let (proxy, server) = stage.server_behind(plan).await?;
        let at = rand::random_range(4_000..TREE_BYTES as u64 * 9 / 10);
        links.push((proxy, stage.start_run(server).await?, at));
    }
    let mut victims = (0..AT_RANDOM).map(|_| stage.worker()).collect::<Result<Vec<_>>>()?;
    let kills = links.iter().map(|(proxy, run, at)| kill_at(&stage, &victims, proxy, run, *at));
    for killed in futures_util::future::join_all(kills).await {
        killed?;
    }
    for victim in &mut victims {
        // Where two runs met in one worker, one death did for both.
        victim.signal(Signal::KILL).ok();
        victim.until_killed().await?;
    }
    let _survivors = [stage.worker()?, stage.worker()?];
    for (_, run, at) in &links {
        let run = stage.ended(run).await?;
        judge(&stage, &run).await.with_context(|| format!("killed at byte {at}"))?;
        ensure!(run["attempt"].as_i64() >= Some(2), "killed at byte {at}, and nobody noticed: {run:#}");
    }
    stage.assert_clean().await
}

/// Kills whoever has `run` once `at` bytes came from the server.
async fn kill_at(stage: &Stage, workers: &[Role], proxy: &FaultProxy, run: &str, at: u64) -> Result<()> {
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < at {
        ensure!(Instant::now() < until, "the run never came to byte {at}");
        tokio::time::sleep(POLL / 5).await;
    }
    let read = stage.client.get(run).await?["data"].take();
    let worker = workers.iter().find(|worker| worker.has(&read)).with_context(|| format!("nobody has {read:#}"))?;
    worker.signal(Signal::KILL)
}

#[tokio::test]
async fn a_run_that_kills_every_worker_is_abandoned_and_says_so() -> Result<()> {
    let stage = Stage::start().await?;
    let run = stage.start_run(stage.server).await?;
    for _ in 0..MAX_ATTEMPTS {
        stage.worker_that_dies("streaming")?.until_killed().await?;
    }
    let _survivor = stage.worker()?;
    let ended = stage.ended(&run).await?;
    ensure!(!judge(&stage, &ended).await?, "three deaths and a success: {ended:#}");
    let expected = "While preparing: Its workers disappeared. Every attempt lost its worker; the operator should look at \
                    the workers' logs.";
    ensure!(ended["error_message"] == expected, "{ended:#}");
    stage.assert_clean().await
}
