//! What a customer does with the API, step by step: register a server and confirm its key, make a destination and a
//! task, run it, give data back. Used by the demo, the bench and the soak, so that all three use the product in the
//! same way.

use crate::client::ApiClient;
use crate::garage::{self, Garage};
use crate::sshd::Sshd;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest backup or restore of the demo or the bench.
const JOB_LIMIT: Duration = Duration::from_secs(900);

/// Registers a server at `port` of loopback, reached as `user`: lets the team's key in, fetches the key that the
/// server shows, compares it with the one that `sshd` has, accepts it, and checks that a log-in works.
///
/// # Errors
/// The API refused, or the server showed another key than its own.
pub async fn register_server(client: &ApiClient, sshd: &Sshd, port: u16, user: &str) -> Result<i64> {
    let keys = client.get("ssh-key").await?;
    let line = keys["authorized_keys_line"].as_str().context("GET ssh-key has no authorized_keys_line")?;
    sshd.authorize(user, line)?;
    let server =
        json!({"label": format!("customer as {user}"), "ip_address": "127.0.0.1", "port": port, "username": user});
    let id = client.post("remote-servers", &server).await?["data"]["id"].as_i64().context("a server without an id")?;
    // The first contact shows the key, and must not log in before somebody confirmed it.
    let first = client.post(&format!("remote-servers/{id}/check"), &json!({})).await?;
    ensure!(first["data"]["ok"] == json!(false), "the check passed with an unconfirmed host key");
    let shown = client.get(&format!("remote-servers/{id}/host-key")).await?;
    let fingerprint = shown["data"]["pending"]["fingerprint"].as_str().context("no host key is pending")?;
    let own = fingerprint_of(sshd)?;
    ensure!(fingerprint == own, "the API shows the host key {fingerprint}, but the server's is {own}");
    client.post(&format!("remote-servers/{id}/host-key/accept"), &json!({"fingerprint": fingerprint})).await?;
    let second = client.post(&format!("remote-servers/{id}/check"), &json!({})).await?;
    ensure!(second["data"]["ok"] == json!(true), "the server's check says: {}", second["data"]["steps"]);
    Ok(id)
}

/// The fingerprint of the server's own key, as its administrator reads it there.
fn fingerprint_of(sshd: &Sshd) -> Result<String> {
    let output = Command::new("ssh-keygen").arg("-lf").arg(sshd.dir().join("host_key.pub")).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().nth(1).context("ssh-keygen printed no fingerprint")?.to_owned())
}

/// Makes a local destination and checks it.
///
/// # Errors
/// The API refused, or the check found something.
pub async fn create_destination(client: &ApiClient) -> Result<i64> {
    checked_destination(client, &json!({"label": "local disk", "type": "local"})).await
}

/// Makes a destination at an S3 server and checks it.
///
/// # Errors
/// As [`create_destination`].
pub async fn create_s3_destination(client: &ApiClient, garage: &Garage, label: &str) -> Result<i64> {
    let body = json!({
        "label": label, "type": "custom_s3", "custom_s3_endpoint": garage.endpoint(), "path_style_endpoint": true,
        "s3_bucket_name": garage::BUCKET, "custom_s3_region": garage::REGION,
        "s3_access_key": garage::ACCESS_KEY, "s3_secret_key": garage::SECRET_KEY,
    });
    checked_destination(client, &body).await
}

async fn checked_destination(client: &ApiClient, body: &Value) -> Result<i64> {
    let made = client.post("backup-destinations", body).await?;
    let id = made["data"]["id"].as_i64().context("a destination without an id")?;
    let check = client.post(&format!("backup-destinations/{id}/check"), &json!({})).await?;
    ensure!(check["data"]["ok"] == json!(true), "the destination's check says: {}", check["data"]["steps"]);
    Ok(id)
}

/// Makes a task that is only run by hand; `more` is added to the request.
///
/// # Errors
/// The API refused, or `path` is no text.
pub async fn create_task(client: &ApiClient, server: i64, destination: i64, path: &Path, more: Value) -> Result<i64> {
    let path = path.to_str().context("the path is no text")?;
    let task = json!({"label": "files", "type": "files", "backup_destination_id": destination, "source_path": path});
    create_manual_task(client, server, task, more).await
}

/// Makes a task on databases (`source{engine, host, port, …}`) that is only run by hand; `more` is added to the request.
///
/// # Errors
/// The API refused.
pub async fn create_database_task(
    client: &ApiClient,
    server: i64,
    destinations: &[i64],
    source: &Value,
    more: Value,
) -> Result<i64> {
    let task =
        json!({"label": "databases", "type": "database", "backup_destination_ids": destinations, "source": source});
    create_manual_task(client, server, task, more).await
}

async fn create_manual_task(client: &ApiClient, server: i64, mut task: Value, more: Value) -> Result<i64> {
    let common = json!({"frequency": "manual", "maximum_backups_to_keep": 0, "remote_server_id": server});
    for part in [common, more] {
        if let (Some(task), Value::Object(part)) = (task.as_object_mut(), part) {
            task.extend(part);
        }
    }
    client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task without an id")
}

/// Starts `task`; the run's id.
///
/// # Errors
/// The API refused.
pub async fn start_run(client: &ApiClient, task: i64) -> Result<i64> {
    let started = client.post(&format!("backup-tasks/{task}/run"), &json!({})).await?;
    started["data"]["backup_run_id"].as_i64().context("the answer names no run")
}

/// Runs `task` to its end and returns the run, which succeeded without a warning.
///
/// # Errors
/// It ended otherwise; the message says how, with its log.
pub async fn back_up(client: &ApiClient, task: i64, poll: Duration, on_read: impl FnMut(&Value)) -> Result<Value> {
    let id = start_run(client, task).await?;
    let run = client.finished(&format!("backup-runs/{id}"), poll, JOB_LIMIT, on_read).await?;
    if run["status"] != "succeeded" {
        let log = client.get(&format!("backup-runs/{id}/log")).await.unwrap_or(Value::Null);
        bail!("the backup ended {}: {}{}", run["status"], reason(&run), log_text(&log));
    }
    Ok(run)
}

/// The backup that `run` made.
///
/// # Errors
/// It made none, or the API refused.
pub async fn backup_of(client: &ApiClient, run: &Value) -> Result<Value> {
    let id = run["backup_id"].as_i64().context("the run succeeded, but names no backup")?;
    Ok(client.get(&format!("backups/{id}")).await?["data"].take())
}

/// The backups of `task` of which a copy can be restored, the newest first.
///
/// # Errors
/// The API refused.
pub async fn kept_backups(client: &ApiClient, task: i64) -> Result<Vec<Value>> {
    let listed = client.get(&format!("backups?filter[backup_task_id]={task}&sort=-created_at&per_page=100")).await?;
    let backups = listed["data"].as_array().context("a list without data")?;
    Ok(backups.iter().filter(|backup| committed_copies(backup) > 0).cloned().collect())
}

/// How many copies of a listed or shown backup are there.
#[must_use]
pub fn committed_copies(backup: &Value) -> usize {
    backup["copies"].as_array().map_or(0, |copies| copies.iter().filter(|copy| copy["state"] == "committed").count())
}

/// Restores `backup` as `request` says, to its end, and returns the restore, which succeeded without a warning.
///
/// # Errors
/// It ended otherwise; the message says how.
pub async fn restore(client: &ApiClient, backup: i64, request: &Value, on_read: impl FnMut(&Value)) -> Result<Value> {
    let started = client.post(&format!("backups/{backup}/restore"), request).await?;
    let id = started["data"]["id"].as_i64().context("the answer names no restore")?;
    let done = client.finished(&format!("restores/{id}"), Duration::from_millis(100), JOB_LIMIT, on_read).await?;
    ensure!(done["status"] == "succeeded", "the restore ended {}: {}", done["status"], reason(&done));
    Ok(done)
}

/// Why a run or restore did not succeed, as far as it says so.
fn reason(ended: &Value) -> String {
    let message = ended["error_message"].as_str().unwrap_or("(no message)");
    match &ended["warnings"] {
        Value::Array(warnings) if !warnings.is_empty() => format!("{message} {}", ended["warnings"]),
        _ => message.to_owned(),
    }
}

fn log_text(log: &Value) -> String {
    let lines = log["lines"].as_array().or_else(|| log["data"]["lines"].as_array());
    lines.into_iter().flatten().filter_map(|line| line["content"].as_str()).fold(String::new(), |mut text, line| {
        text.push_str("\n    ");
        text.push_str(line);
        text
    })
}
