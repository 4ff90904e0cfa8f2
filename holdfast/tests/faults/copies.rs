//! A copy made later whose worker is killed with -9: it is made by another one, equal, and nothing is left. Asked for over
//! HTTP, and a limit that a task sets there holds.

use crate::stage::{LIMIT, POLL, Stage};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// In the order of `FaultPoint::OF_COPIES`.
const POINTS: [&str; 2] = ["copying", "copied"];

/// The copy of `backup` at `destination`, once `holds` is true of it.
async fn copy(stage: &Stage, backup: i64, destination: i64, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    let until = Instant::now() + LIMIT;
    loop {
        let shown = stage.client.get(&format!("backups/{backup}")).await?;
        let copies = shown["data"]["copies"].as_array().cloned().unwrap_or_default();
        let copy = copies.into_iter().find(|copy| copy["backup_destination_id"] == destination);
        match copy {
            Some(copy) if holds(&copy) => return Ok(copy),
            copy if Instant::now() > until => bail!("never: {copy:#?}"),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Bytes by name below a destination's folder.
fn objects(stage: &Stage, destination: i64) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let team = std::fs::read_dir(stage.disk())?.flatten().map(|entry| entry.path()).find(|path| path.is_dir());
    let folder = team.context("no team has stored anything")?.join(destination.to_string());
    let mut found = BTreeMap::new();
    below(&folder, &folder, &mut found)?;
    Ok(found)
}

fn below(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(root, &path, found)?;
        } else {
            found.insert(path.strip_prefix(root)?.to_owned(), std::fs::read(&path)?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_dies_while_it_makes_a_copy() -> Result<()> {
    let stage = Stage::start().await?;
    let first = stage.worker()?;
    let run = stage.start_run(stage.server).await?;
    let run = stage.ended(&run).await?;
    ensure!(run["status"] == "succeeded", "{run:#}");
    let backup = run["backup_id"].as_i64().context("no backup")?;
    drop(first);
    for point in POINTS {
        let made = stage.client.post("backup-destinations", &json!({"label": point, "type": "local"})).await?;
        let second = made["data"]["id"].as_i64().context("no destination")?;
        let mut victim = stage.worker_that_dies(point)?;
        let wanted = json!({"backup_destination_ids": [second]});
        let asked = stage.client.post(&format!("backups/{backup}/copies"), &wanted).await?;
        let copies = asked["data"]["copies"].as_array().context("no copies")?;
        ensure!(copies.iter().any(|copy| copy["state"] == "queued" && !copy["making"].is_null()), "{asked:#}");
        victim.until_killed().await.context(point)?;
        let _survivor = stage.worker()?;
        let over = |copy: &Value| !["queued", "running"].contains(&copy["state"].as_str().unwrap_or_default());
        let copy = copy(&stage, backup, second, over).await?;
        ensure!(copy["state"] == "committed" && copy["verified"] == true, "{point}: {copy:#}");
        let (one, two) = (objects(&stage, stage.destination)?, objects(&stage, second)?);
        ensure!(!one.is_empty() && one == two, "{point}: {:?} and {:?}", one.keys(), two.keys());
        let again = stage.client.post(&format!("backups/{backup}/copies"), &wanted).await;
        ensure!(again.is_err(), "a copy that is there was made once more");
    }
    let _worker = stage.worker()?;
    stage.assert_comes_back(&run).await?;
    stage.assert_clean().await
}

#[tokio::test]
async fn a_tasks_own_limit_ends_its_run() -> Result<()> {
    let stage = Stage::start().await?;
    // Longer to read than any test waits, and without a block on the disk.
    std::fs::File::create(stage.tree.join("endless"))?.set_len(1 << 42)?;
    stage.login.give(&stage.tree)?;
    let _worker = stage.worker()?;
    let task = json!({
        "label": "endless", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
        "remote_server_id": stage.server, "backup_destination_id": stage.destination,
        "source": {"paths": [&stage.tree]}, "limits": {"max_duration_secs": 2},
    });
    let task = stage.client.post("backup-tasks", &task).await?;
    ensure!(task["data"]["limits"]["max_duration_secs"] == 2, "{task:#}");
    let run = stage.start_run_of(task["data"]["id"].as_i64().context("no task")?).await?;
    let run = stage.ended(&run).await?;
    ensure!(run["status"] == "failed" && run["error_code"] == "timed_out", "{run:#}");
    ensure!(run["attempt"] == 1 && run["process_terminated"] == true, "it is final, and nothing is alive: {run:#}");
    stage.assert_clean().await
}
