//! The PHP library: every body is a form that it calls JSON, every answer must be JSON that is not empty, deletions too.

use super::wire::{Reply, Wire, items, text, time, truth, whole};
use anyhow::{Context, Result, ensure};
use reqwest::Url;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub struct Library {
    wire: Wire,
    authorization: String,
}

impl Library {
    pub fn new(wire: Wire, token: String) -> Self {
        Self { wire, authorization: format!("Bearer {token}") }
    }

    async fn raw(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Reply> {
        let headers = [
            ("User-Agent", "GuzzleHttp/7"),
            ("Authorization", self.authorization.as_str()),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
        ];
        let form = Url::parse_with_params("http://x/", fields)?;
        let body = match method {
            "GET" | "DELETE" => None,
            _ => Some(form.query().unwrap_or_default()),
        };
        self.wire.send((method, &format!("/api/{path}")), &headers, body).await
    }

    async fn call(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Value> {
        let reply = self.raw(method, path, fields).await?;
        ensure!((200..300).contains(&reply.status), "{method} {path}: {reply:?}");
        reply.json().with_context(|| format!("{method} {path}"))
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, &[]).await
    }

    /// Makes, lists, shows, changes and deletes one thing of `path`; what was shown and what was changed.
    async fn manages(&self, path: &str, new: &[(&str, &str)], change: (&str, &str)) -> Result<(Value, Value)> {
        let made = self.call("POST", path, new).await?;
        let one = format!("{path}/{}", whole(&made, "/data/id")?);
        let list = self.get(path).await?;
        ensure!(items(&list)?.iter().any(|item| item["id"] == made["data"]["id"]), "{list}");
        let shown = self.get(&one).await?;
        for pointer in ["/data/created_at", "/data/updated_at"] {
            time(&shown, pointer)?;
        }
        whole(&shown, "/data/user_id")?;
        let changed = self.call("PUT", &one, &[change]).await?;
        let gone = self.call("DELETE", &one, &[]).await?;
        text(&gone, "/message")?;
        ensure!(self.raw("GET", &one, &[]).await?.status == 404, "{one} is still there");
        Ok((shown, changed))
    }

    pub async fn reads_its_user(&self) -> Result<()> {
        let user = self.get("user").await?;
        whole(&user, "/data/id")?;
        text(&user, "/data/personal_info/email")?;
        truth(&user, "/data/account_settings/github_login_enabled")?;
        truth(&user, "/data/account_settings/weekly_summary_enabled")?;
        whole(&user, "/data/backup_tasks/logs/today")?;
        let key = self.get("ssh-key").await?;
        ensure!(text(&key, "/public_key")?.starts_with("ssh-"), "{key}");
        Ok(())
    }

    pub async fn manages_servers(&self) -> Result<()> {
        let new = [
            ("label", "web"),
            ("ip_address", "192.0.2.10"),
            ("username", "backup"),
            ("port", "2222"),
            ("database_password", "a&b=c+d"),
        ];
        let (shown, changed) = self.manages("remote-servers", &new, ("label", "web 2")).await?;
        ensure!(whole(&shown, "/data/connection/port")? == 2222, "{shown}");
        ensure!(truth(&shown, "/data/connection/is_database_password_set")?, "{shown}");
        ensure!(text(&changed, "/data/label")? == "web 2", "{changed}");
        Ok(())
    }

    pub async fn manages_destinations(&self) -> Result<()> {
        self.manages("backup-destinations", &[("label", "disk"), ("type", "local")], ("label", "d")).await?;
        // `true` of PHP is 1 in a form.
        let new = [
            ("label", "bucket"),
            ("type", "s3"),
            ("s3_access_key", "AK"),
            ("s3_secret_key", "SK"),
            ("s3_bucket_name", "bk"),
            ("custom_s3_region", "eu-west-1"),
            ("path_style_endpoint", "1"),
        ];
        let (shown, changed) = self.manages("backup-destinations", &new, ("path_style_endpoint", "0")).await?;
        ensure!(truth(&shown, "/data/path_style_endpoint")? && text(&shown, "/data/s3_region")? == "eu-west-1");
        ensure!(!truth(&changed, "/data/path_style_endpoint")?, "{changed}");
        Ok(())
    }

    pub async fn manages_streams(&self) -> Result<()> {
        let new = [
            ("label", "Ops"),
            ("type", "slack_webhook"),
            ("value", "https://hooks.slack.com/services/T/B/x"),
            ("notifications[on_success]", "0"),
            ("notifications[on_failure]", "1"),
        ];
        let (shown, _) = self.manages("notification-streams", &new, ("label", "Operators")).await?;
        ensure!(!truth(&shown, "/data/notifications/on_success")?, "{shown}");
        ensure!(truth(&shown, "/data/notifications/on_failure")?, "{shown}");
        Ok(())
    }

    pub async fn manages_tasks(&self, (server, destination): (i64, i64), path: &str) -> Result<()> {
        let (server, destination) = (server.to_string(), destination.to_string());
        let new = [
            ("remote_server_id", server.as_str()),
            ("backup_destination_id", &destination),
            ("label", "Nightly"),
            ("description", "All of it"),
            ("source_path", path),
            ("frequency", "daily"),
            ("maximum_backups_to_keep", "5"),
            ("type", "files"),
            ("time_to_run_at", "02:00"),
            ("store_path", "/backups"),
        ];
        let made = self.call("POST", "backup-tasks", &new).await?;
        ensure!(text(&made, "/data/source/type")? == "files" && text(&made, "/data/schedule/frequency")? == "daily");
        let one = format!("backup-tasks/{}", whole(&made, "/data/id")?);
        let started = self.call("POST", &format!("{one}/run"), &[]).await?;
        ensure!(text(&started, "/message")? == "Backup task initiated successfully.", "{started}");
        self.waits_for(&one).await?;
        let log = self.get(&format!("{one}/latest-log")).await?;
        ensure!(text(&log, "/data/status")? == "successful", "{log}");
        text(&log, "/data/output")?;
        let list = self.get("backup-task-logs").await?;
        let entry = format!("backup-task-logs/{}", whole(&items(&list)?[0], "/id")?);
        ensure!(self.get(&entry).await? == log, "the latest log is that log");
        text(&self.call("DELETE", &entry, &[]).await?, "/message")?;
        let upcoming = self.get("backup-tasks/upcoming").await?;
        ensure!(text(&items(&upcoming)?[0], "/next_run_human").is_ok(), "{upcoming}");
        let changed = self.call("PUT", &one, &[("label", "Nightly 2"), ("maximum_backups_to_keep", "3")]).await?;
        ensure!(whole(&changed, "/data/storage/max_backups")? == 3, "{changed}");
        text(&self.call("DELETE", &one, &[]).await?, "/message")?;
        Ok(())
    }

    async fn waits_for(&self, task: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.get(&format!("{task}/status")).await?;
            match text(&status, "/data/status")? {
                "running" => ensure!(started.elapsed() < Duration::from_secs(60), "{status}"),
                "ready" => return Ok(()),
                other => anyhow::bail!("{other}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What it makes an exception of its own of.
    pub async fn meets_errors(&self) -> Result<()> {
        self.raw("GET", "backup-tasks/999", &[]).await?.must(404)?;
        let invalid = self.raw("POST", "backup-tasks", &[("label", "")]).await?.must(422)?;
        ensure!(invalid["errors"]["label"] == json!(["The label field is required."]), "{invalid}");
        Ok(())
    }
}
