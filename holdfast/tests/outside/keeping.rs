//! What a task keeps stays and can be restored, what it does not keep leaves the disk, and the recycle bin gives back the
//! same bytes.

use crate::support::{assert_equal, files, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::site::{Site, below};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Objects of a backup of files: the stream, its index, the manifest.
const OBJECTS: usize = 3;

#[tokio::test]
async fn old_backups_leave_the_disk_and_the_bin_gives_back_the_same_bytes() -> Result<()> {
    let site = Site::start(options()).await?;
    let (tree, saved) = (site.folder().join("customer/tree"), site.folder().join("saved"));
    fs::create_dir_all(&tree)?;
    let task = site.task(&[&tree], json!({"maximum_backups_to_keep": 2})).await?;
    let other = site.task(&[&tree], json!({"label": "another"})).await?;
    write(&tree, "other")?;
    let others = site.back_up(other).await?;
    let mut backups = Vec::new();
    for n in 0..4 {
        write(&tree, &format!("version {n}"))?;
        copy(&tree, &saved.join(n.to_string()))?;
        backups.push(site.back_up(task).await?);
    }
    until(async || Ok(objects(&site)? == (2 + 1) * OBJECTS), "the disk holds two backups and the other task's").await?;
    let listed = site.client.get(&format!("backups?filter[backup_task_id]={task}")).await?;
    let listed: Vec<&Value> = listed["data"].as_array().context("a list")?.iter().map(|row| &row["id"]).collect();
    assert_eq!(listed, [&backups[2]["id"], &backups[3]["id"]]);
    comes_back(&site, &backups[2], &tree, &saved.join("2"), "third").await?;

    let rule = json!({"retention": {"keep_last": 1, "recycle_secs": 3600}});
    site.client.call(Method::PUT, &format!("backup-tasks/{task}"), Some(&rule)).await?;
    write(&tree, "version 4")?;
    backups.push(site.back_up(task).await?);
    let bin = async || Ok::<_, anyhow::Error>(site.client.get("recycle-bin").await?["meta"]["total"].clone());
    until(async || Ok(bin().await? == 2), "two copies are in the bin").await?;
    assert_eq!(objects(&site)?, 4 * OBJECTS, "what is in the bin keeps its objects");
    let back = json!({"recycled": false});
    site.client.call(Method::PATCH, &format!("backups/{}", backups[3]["id"]), Some(&back)).await?;
    comes_back(&site, &backups[3], &tree, &saved.join("3"), "fourth").await?;

    let emptied = site.client.delete("recycle-bin").await?;
    assert_eq!(emptied, json!({"deleted_count": 1, "kept_count": 0}));
    until(async || Ok(objects(&site)? == 3 * OBJECTS), "what was emptied has left the disk").await?;
    let gone = site.client.raw(Method::GET, &format!("backups/{}", backups[2]["id"]), None).await?;
    assert_eq!(gone.status, 404);
    let still = site.client.get(&format!("backups/{}", others["id"])).await?;
    assert_eq!(still["data"]["copies"][0]["state"], "committed", "another task's backup is none of its business");
    site.product.stop().await
}

fn write(tree: &Path, content: &str) -> Result<()> {
    fs::write(tree.join("file"), content)?;
    fs::write(tree.join("second"), content.repeat(1000))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a parent")?)?;
    output(Command::new("cp").arg("-a").args([from, to])).map(drop)
}

async fn comes_back(site: &Site, backup: &Value, tree: &Path, expected: &Path, name: &str) -> Result<()> {
    let to = site.folder().join("restored").join(name);
    fs::create_dir_all(to.parent().context("a parent")?)?;
    site.restore_well(backup, &to, json!({})).await?;
    assert_equal(expected, &below(&to, tree))
}

/// Files at the destinations, `store.id` left out.
fn objects(site: &Site) -> Result<usize> {
    let all = files(&site.local_root())?;
    Ok(all.iter().filter(|file| file.file_name().is_some_and(|name| name != "store.id")).count())
}

async fn until(holds: impl AsyncFn() -> Result<bool>, what: &str) -> Result<()> {
    for _ in 0..600 {
        if holds().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(holds().await?, "never: {what}");
    Ok(())
}
