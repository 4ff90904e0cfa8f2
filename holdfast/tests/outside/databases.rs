//! Databases through the API: dumped, listed, downloaded, and put back to a new or an existing database, on the same
//! server or another one; and what is said when that does not end well.

mod mariadb;
mod postgresql;

use anyhow::{Context, Result, ensure};
use holdfast_testbed::site::Site;
use serde_json::{Value, json};

/// A task of the site for databases; `more` stands beside `source`.
async fn task(site: &Site, source: &Value, destinations: &[i64]) -> Result<i64> {
    let task = json!({
        "label": "databases", "type": "database", "frequency": "manual", "maximum_backups_to_keep": 0,
        "remote_server_id": site.server, "backup_destination_ids": destinations, "source": source,
        "backup_destination_id": destinations[0],
    });
    site.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task without an id")
}

/// Asks for a restore and waits for its end, whatever it is.
async fn restore(site: &Site, backup: &Value, request: Value) -> Result<Value> {
    let id = backup["id"].as_i64().context("a backup without an id")?;
    let started = site.client.post(&format!("backups/{id}/restore"), &request).await?;
    let restore = started["data"]["id"].as_i64().context("the answer names no restore")?;
    site.ended(&format!("restores/{restore}")).await
}

/// The same, and it succeeded.
async fn restored(site: &Site, backup: &Value, request: Value) -> Result<Value> {
    let done = restore(site, backup, request).await?;
    ensure!(done["status"] == "succeeded", "the restore ended so: {done:#}");
    Ok(done)
}

/// The same, and it failed with `code`.
async fn refused(site: &Site, backup: &Value, request: Value, code: &str) -> Result<Value> {
    let done = restore(site, backup, request).await?;
    ensure!(done["status"] == "failed" && done["error_code"] == code, "instead of {code}: {done:#}");
    let text = done["error_message"].as_str().unwrap_or_default();
    ensure!(text.starts_with("While "), "the failure names no step: {text}");
    Ok(done)
}
