//! The link to the server is cut or stands still in the middle of the bytes.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::{Fault, LinkPlan};
use serde_json::Value;

const AFTER_BYTES: u64 = 1_000_000;

fn starts(text: &Value, expected: &str) -> Result<()> {
    ensure!(text.as_str().is_some_and(|text| text.starts_with(expected)), "{text} is not {expected:?}");
    Ok(())
}

#[tokio::test]
async fn a_link_that_breaks_is_tried_again_and_never_taken_for_the_end() -> Result<()> {
    let stage = Stage::start().await?;
    let _worker = stage.worker_with(&[("HOLDFAST__WORKER__CONCURRENCY", "6")])?;
    let mut runs = Vec::new();
    for (fault, code) in [(Fault::Fin, "connection_lost"), (Fault::Rst, "connection_lost"), (Fault::Stall, "stalled")] {
        for connections in [1, 0] {
            let plan = LinkPlan { fault, after_bytes: AFTER_BYTES, connections, ..LinkPlan::default() };
            let (proxy, server) = stage.server_behind(plan).await?;
            runs.push((fault, code, connections, proxy, stage.start_run(server).await?));
        }
    }
    for (fault, code, connections, proxy, run) in &runs {
        let ended = stage.ended(run).await?;
        let log = stage.log_of(run).await;
        let case = format!("{fault:?} of {connections} connections: {ended:#}\n{log}");
        if *connections == 1 {
            ensure!(ended["status"] == "succeeded" && ended["attempt"] == 2, "{case}");
            ensure!(log.contains("The next attempt follows"), "{case}");
            stage.assert_comes_back(&ended).await.context(case)?;
        } else {
            ensure!(ended["status"] == "failed" && ended["error_code"] == *code, "{case}");
            ensure!(ended["attempt"] == 3 && proxy.connections() >= 3 && ended["backup_id"].is_null(), "{case}");
            starts(&ended["error_message"], "While streaming: ").context(case)?;
        }
    }
    // The server cannot know that a link stands still: its ends go away with the proxy.
    drop(runs);
    stage.assert_clean().await
}
