//! What a process has no more of: descriptors (security.md F39), and room for its log (F36).

use crate::stage::Stage;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;

/// So many descriptors may the process have open from now on.
fn limit_descriptors(pid: u32, most: usize) -> Result<()> {
    let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--nofile={most}:")]).status()?;
    ensure!(set.success(), "prlimit: {set}");
    Ok(())
}

#[tokio::test]
async fn a_worker_without_descriptors_says_so_and_recovers() -> Result<()> {
    let stage = Stage::start().await?;
    let worker = stage.worker()?;
    let first = stage.start_run(stage.server).await?;
    let first = stage.ended(&first).await?;
    ensure!(first["status"] == "succeeded", "{first:#}");
    let open = std::fs::read_dir(format!("/proc/{}/fd", worker.pid()))?.count();
    limit_descriptors(worker.pid(), open)?;
    let run = stage.start_run(stage.server).await?;
    let ended = stage.ended(&run).await?;
    let said = ended["error_message"].as_str().unwrap_or_default();
    ensure!(ended["status"] == "failed" && ended["backup_id"].is_null(), "{ended:#}");
    ensure!(said.to_lowercase().contains("too many open files"), "{said}");
    limit_descriptors(worker.pid(), 1024)?;
    let run = stage.start_run(stage.server).await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && worker.has(&ended), "{ended:#}");
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}

#[tokio::test]
async fn a_log_that_takes_nothing_more_stops_nothing() -> Result<()> {
    let stage = Stage::start().await?;
    let _worker = stage.worker_that_logs_to(Path::new("/dev/full"))?;
    let run = stage.start_run(stage.server).await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{ended:#}");
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}
