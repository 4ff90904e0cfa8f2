//! Faults around a destination in a bucket: its worker is killed in the middle of an upload, the run is cancelled there,
//! the store goes away. Unfinished uploads cost money and are seen by nobody: none may stay.

use crate::stage::{LIMIT, POLL, Stage, make_noise};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};
use rustix::process::Signal;
use serde_json::json;
use std::time::Instant;

/// Parts of 8 MiB: several.
const MORE_BYTES: u64 = 40 << 20;
/// Slow enough to be caught in the middle.
const BYTES_PER_SECOND: u64 = 12_000_000;

/// A stage whose server is slow, with a bucket at `endpoint`; the path of a run of the tree into it.
async fn run_into(stage: &Stage, endpoint: String) -> Result<(FaultProxy, String)> {
    make_noise(&stage.tree.join("noise-for-parts"), MORE_BYTES)?;
    stage.login.give(&stage.tree)?;
    let bucket = json!({
        "label": "bucket", "type": "custom_s3", "s3_bucket_name": BUCKET, "custom_s3_endpoint": endpoint,
        "custom_s3_region": REGION, "path_style_endpoint": true, "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    });
    let made = stage.client.post("backup-destinations", &bucket).await?;
    let slow = LinkPlan { bytes_per_second: BYTES_PER_SECOND, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(slow).await?;
    let task = json!({
        "label": "files", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
        "remote_server_id": server, "backup_destination_id": made["data"]["id"], "source": {"paths": [stage.tree]},
    });
    let task =
        stage.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task without an id")?;
    Ok((proxy, stage.start_run_of(task).await?))
}

async fn until_held(garage: &Garage, what: &str, holds: impl Fn((u64, u64)) -> bool) -> Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let held = garage.held().await?;
        if holds(held) {
            return Ok(());
        }
        ensure!(Instant::now() < until, "never {what}: {held:?}");
        tokio::time::sleep(POLL).await;
    }
}

async fn writing(stage: &Stage) -> Result<i64> {
    let sql = "SELECT count(*) FROM backup_run_objects WHERE state = 'writing'";
    Ok(sqlx::query_scalar(sql).fetch_one(&stage.pool).await?)
}

#[tokio::test]
async fn a_worker_dies_in_the_middle_of_an_upload_and_its_parts_go() -> Result<()> {
    let (stage, garage) = (Stage::start().await?, Garage::start().await?);
    let mut victim = stage.worker()?;
    let (_link, run) = run_into(&stage, garage.endpoint()).await?;
    until_held(&garage, "an upload", |(_, unfinished)| unfinished > 0).await?;
    victim.signal(Signal::KILL)?;
    victim.until_killed().await?;
    ensure!(garage.held().await?.1 > 0, "a dead worker cannot have ended its upload");
    let _survivor = stage.worker()?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == json!(2), "{ended:#}");
    stage.assert_comes_back(&ended).await?;
    // Stream, index and manifest.
    until_held(&garage, "three objects alone", |held| held == (3, 0)).await?;
    ensure!(writing(&stage).await? == 0, "an unfinished object is still on record");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_run_leaves_nothing_in_the_bucket() -> Result<()> {
    let (stage, garage) = (Stage::start().await?, Garage::start().await?);
    let _worker = stage.worker()?;
    let (_link, run) = run_into(&stage, garage.endpoint()).await?;
    until_held(&garage, "an upload", |(_, unfinished)| unfinished > 0).await?;
    stage.client.post(&format!("{run}/cancel"), &json!({})).await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "cancelled", "{ended:#}");
    until_held(&garage, "an empty bucket", |held| held == (0, 0)).await?;
    ensure!(stage.login.processes()?.is_empty(), "the program there lives on");
    Ok(())
}

#[tokio::test]
async fn a_store_that_breaks_off_again_and_again_is_waited_for() -> Result<()> {
    let (stage, garage) = (Stage::start().await?, Garage::start().await?);
    let _worker = stage.worker()?;
    let target = ([127, 0, 0, 1], garage.port()).into();
    let plan = LinkPlan { fault: Fault::Rst, after_bytes: 5 << 20, connections: 3, ..LinkPlan::default() };
    let link = FaultProxy::start(target, plan).await?;
    let (_source, run) = run_into(&stage, format!("http://127.0.0.1:{}", link.port())).await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == json!(1), "{ended:#}");
    ensure!(link.connections() > 3, "nothing broke off");
    stage.assert_comes_back(&ended).await?;
    until_held(&garage, "three objects alone", |held| held == (3, 0)).await
}
