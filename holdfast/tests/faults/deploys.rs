//! Rolling deploys (security.md F34): workers are asked to end and replaced, again and again, while runs go on.

use crate::stage::{LIMIT, POLL, Stage};
use anyhow::{Result, ensure};
use holdfast_testbed::fault_proxy::LinkPlan;
use rustix::process::Signal;
use std::time::Instant;

const DEPLOYS: u32 = 3;

#[tokio::test]
async fn workers_that_are_replaced_again_and_again_fail_no_run() -> Result<()> {
    let stage = Stage::start().await?;
    // A run lasts for longer than a drain's second may take here, so that some are handed over in the middle.
    let plan = LinkPlan { bytes_per_second: 2_000_000, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(plan).await?;
    let (mut old, mut spare) = (stage.worker_with(DRAIN)?, stage.worker_with(DRAIN)?);
    let mut runs = Vec::new();
    for _ in 0..DEPLOYS {
        let before = proxy.down_bytes();
        runs.push(stage.start_run(server).await?);
        let until = Instant::now() + LIMIT;
        while proxy.down_bytes() < before + 500_000 {
            ensure!(Instant::now() < until, "nothing moves");
            tokio::time::sleep(POLL).await;
        }
        let new = stage.worker_with(DRAIN)?;
        old.signal(Signal::TERM)?;
        old.until_ended().await?;
        old = std::mem::replace(&mut spare, new);
    }
    for run in &runs {
        let ended = stage.ended(run).await?;
        ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{ended:#}\n{}", stage.log_of(run).await);
        stage.assert_comes_back(&ended).await?;
    }
    stage.assert_clean().await
}

const DRAIN: &[(&str, &str)] = &[("HOLDFAST__WORKER__DRAIN_TIMEOUT_SECS", "1")];
