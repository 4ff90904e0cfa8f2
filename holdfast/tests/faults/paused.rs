//! A worker that is paused beyond its lease and wakes up again.

use crate::stage::{POLL, Stage, make_noise};
use anyhow::{Result, ensure};
use holdfast_testbed::fault_proxy::LinkPlan;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A heartbeat is half a second; the rest is for a busy machine.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_worker_that_wakes_after_its_lease_stops_and_commits_nothing() -> Result<()> {
    let stage = Stage::start().await?;
    // What is left when it wakes would keep it busy for much longer than it may be.
    make_noise(&stage.tree.join("large.bin"), 40 << 20)?;
    stage.login.give(&stage.tree)?;
    let plan = LinkPlan { bytes_per_second: 6_000_000, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(plan).await?;
    let sleeper = stage.worker()?;
    let run = stage.start_run(server).await?;
    let disk = stage.disk();
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 1_000_000 || sleeper.open_files(&disk)?.is_empty() {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL).await;
    }
    sleeper.signal(Signal::STOP)?;
    let other = stage.worker()?;
    let taken = stage.until(&run, "the other worker has it", |run| other.has(run)).await?;
    ensure!(taken["attempt"] == 2, "{taken:#}");
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && other.has(&ended), "{ended:#}");
    ensure!(!sleeper.open_files(&disk)?.is_empty(), "it was not in the middle of its work");

    sleeper.signal(Signal::CONT)?;
    let woken = Instant::now();
    while !sleeper.open_files(&disk)?.is_empty() {
        ensure!(woken.elapsed() < STOPS_WITHIN, "it goes on writing what nobody wants");
        tokio::time::sleep(POLL).await;
    }
    let count = "SELECT count(*) FROM backups";
    stage.assert_clean().await?;
    ensure!(sqlx::query_scalar::<_, i64>(count).fetch_one(&stage.pool).await? == 1, "both committed");
    ensure!(stage.client.get(&run).await?["data"] == ended, "the end of the run changed afterwards");
    stage.assert_comes_back(&ended).await?;
    // It lives and works on.
    drop(other);
    let next = stage.start_run(stage.server).await?;
    let next = stage.ended(&next).await?;
    ensure!(next["status"] == "succeeded" && sleeper.has(&next), "{next:#}");
    stage.assert_clean().await
}
