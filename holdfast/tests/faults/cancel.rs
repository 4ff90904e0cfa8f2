//! A run is cancelled through the API. (At every numbered point: `worker/tests/suite/endings.rs`.)

use crate::stage::{POLL, Stage};
use anyhow::{Result, ensure};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use serde_json::json;
use std::time::{Duration, Instant};

/// The limit for the program on the server.
const DEAD_WITHIN: Duration = Duration::from_secs(10);

async fn until_bytes(proxy: &FaultProxy) -> Result<()> {
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 300_000 {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_is_gone_from_the_server_in_ten_seconds() -> Result<()> {
    let stage = Stage::start().await?;
    // More than window and buffers take: tar is in the middle of it when the end is asked for.
    std::fs::File::create(stage.tree.join("large"))?.set_len(200 << 20)?;
    stage.login.give(&stage.tree)?;

    // Nobody has it yet.
    let queued = stage.start_run(stage.server).await?;
    let answer = stage.client.post(&format!("{queued}/cancel"), &json!({})).await?["data"].take();
    ensure!(answer["status"] == "cancelled", "{answer:#}");

    // In full flow.
    let _worker = stage.worker()?;
    let (proxy, server) = stage.server_behind(LinkPlan { bytes_per_second: 1_000_000, ..LinkPlan::default() }).await?;
    let run = stage.start_run(server).await?;
    until_bytes(&proxy).await?;
    let tars = || -> Result<usize> { Ok(stage.login.processes()?.iter().filter(|line| line.contains("tar ")).count()) };
    ensure!(tars()? > 0, "tar is over before it was cancelled");
    let asked = Instant::now();
    let answer = stage.client.post(&format!("{run}/cancel"), &json!({})).await?["data"].take();
    ensure!(tars()? == 0, "the API says that it is over, and tar runs: {:?}", stage.login.processes()?);
    ensure!(asked.elapsed() < DEAD_WITHIN, "it took {:?}", asked.elapsed());
    ensure!(answer["status"] == "cancelled" && answer["process_terminated"] == true, "{answer:#}");
    let ended = stage.ended(&run).await?;
    ensure!(ended["error_code"] == "cancelled" && ended["backup_id"].is_null(), "{ended:#}");
    ensure!(ended["error_message"].as_str().is_some_and(|said| said.starts_with("While streaming: ")), "{ended:#}");

    // Behind a link that is dead: the run ends all the same, and claims nothing about the server.
    let (proxy, server) = stage.server_behind(LinkPlan { bytes_per_second: 1_000_000, ..LinkPlan::default() }).await?;
    let run = stage.start_run(server).await?;
    until_bytes(&proxy).await?;
    // Its port is closed too, so that nobody can look.
    proxy.strike(Fault::Stall);
    drop(proxy);
    let asked = Instant::now();
    stage.client.post(&format!("{run}/cancel"), &json!({})).await?;
    let ended = stage.ended(&run).await?;
    ensure!(asked.elapsed() < DEAD_WITHIN + Duration::from_secs(2), "it took {:?}", asked.elapsed());
    ensure!(ended["status"] == "cancelled" && ended["process_terminated"] != true, "{ended:#}");
    stage.assert_clean().await
}
