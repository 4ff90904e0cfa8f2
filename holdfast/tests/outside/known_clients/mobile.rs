//! The mobile app: JSON with a charset, no `Accept` but at two calls, nothing null where its types allow none, and 204 as
//! the only good end of a deletion, but for tags, where it is 200.

use super::wire::{Reply, Wire, items, text, time, truth, whole};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::product::{USER_EMAIL, USER_PASSWORD};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const AGENT: (&str, &str) = ("user-agent", "Dart/3.5 (dart:io)");
const ENCODING: (&str, &str) = ("accept-encoding", "gzip");
const ACCEPT: (&str, &str) = ("accept", "application/json");
/// Its HTTP library adds the charset wherever it sends a text.
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const PLAIN_JSON: (&str, &str) = ("content-type", "application/json");

pub struct App {
    wire: Wire,
    authorization: String,
}

impl App {
    pub async fn log_in(wire: Wire) -> Result<Self> {
        let wrong = json!({"email": USER_EMAIL, "password": "wrong", "device_name": "Pixel 8"});
        let headers = [AGENT, ENCODING, JSON, ACCEPT];
        let login = ("POST", "/api/sanctum/token");
        let refused = wire.send(login, &headers, Some(&wrong.to_string())).await?.must(422)?;
        text(&refused, "/errors/email/0")?;
        let right = json!({"email": USER_EMAIL, "password": USER_PASSWORD, "device_name": "Pixel 8"});
        let given = wire.send(login, &headers, Some(&right.to_string())).await?.must(200)?;
        let authorization = format!("Bearer {}", text(&given, "/token")?);
        Ok(Self { wire, authorization })
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let body = body.map(Value::to_string);
        let kind = if body.is_some() { JSON } else { PLAIN_JSON };
        let headers = [AGENT, ENCODING, kind, ("authorization", self.authorization.as_str())];
        // A POST or DELETE without a body says that it has none.
        let sent = match method {
            "GET" => None,
            _ => Some(body.as_deref().unwrap_or_default()),
        };
        self.wire.send((method, &format!("/api/{path}")), &headers, sent).await
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, None).await?.must(200).with_context(|| path.to_owned())
    }

    /// A page of a list as it turns them: number and number of pages.
    async fn page(&self, path: &str, per_page: u32) -> Result<Vec<Value>> {
        let list = self.get(&format!("{path}?page=1&per_page={per_page}")).await?;
        ensure!(whole(&list, "/meta/current_page")? == 1 && whole(&list, "/meta/last_page")? >= 1, "{list}");
        Ok(items(&list)?.clone())
    }

    /// Makes, lists, shows and changes one thing of `path`, checked by `reads` at each step.
    async fn edits(&self, path: &str, new: &Value, change: &Value, reads: fn(&Value) -> Result<()>) -> Result<String> {
        let made = self.ask("POST", path, Some(new)).await?.must(201)?;
        let one = format!("{path}/{}", whole(&made, "/data/id")?);
        let listed = self.page(path, 15).await?;
        ensure!(listed.iter().any(|item| item["id"] == made["data"]["id"]), "{listed:?}");
        let shown = self.get(&one).await?;
        let changed = self.ask("PUT", &one, Some(change)).await?.must(200)?;
        for item in listed.iter().chain([&made["data"], &shown["data"], &changed["data"]]) {
            whole(item, "/id")?;
            whole(item, "/user_id")?;
            text(item, "/label")?;
            time(item, "/created_at")?;
            time(item, "/updated_at")?;
            reads(item)?;
        }
        Ok(one)
    }

    async fn deletes(&self, one: &str) -> Result<()> {
        let reply = self.ask("DELETE", one, None).await?;
        ensure!(reply.status == 204 && reply.body.is_empty(), "DELETE {one}: {reply:?}");
        ensure!(self.ask("GET", one, None).await?.status == 404, "{one} is still there");
        Ok(())
    }

    pub async fn reads_its_user(&self) -> Result<()> {
        let user = self.get("user").await?;
        whole(&user, "/data/id")?;
        for name in ["name", "first_name", "last_name", "email"] {
            text(&user, &format!("/data/personal_info/{name}"))?;
        }
        for name in ["timezone", "language"] {
            text(&user, &format!("/data/account_settings/{name}"))?;
        }
        for name in ["is_admin", "github_login_enabled", "weekly_summary_enabled"] {
            truth(&user, &format!("/data/account_settings/{name}"))?;
        }
        for name in ["total", "active", "logs/total", "logs/today"] {
            whole(&user, &format!("/data/backup_tasks/{name}"))?;
        }
        for name in ["remote_servers", "backup_destinations", "tags", "notification_streams"] {
            whole(&user, &format!("/data/related_entities/{name}"))?;
        }
        time(&user, "/data/timestamps/account_created")
    }

    pub async fn runs_a_task(&self, task: i64) -> Result<()> {
        let list = self.get("backup-tasks").await?;
        ensure!(items(&list)?.iter().any(|item| item["id"] == task), "{list}");
        let one = format!("backup-tasks/{task}");
        reads_a_task(&self.get(&one).await?["data"])?;
        let started = self.ask("POST", &format!("{one}/run"), None).await?.must(202)?;
        text(&started, "/message")?;
        let begun = Instant::now();
        while text(&self.get(&one).await?, "/data/status")? != "ready" {
            ensure!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        reads_a_task(&self.get(&one).await?["data"])?;
        let headers = [AGENT, ENCODING, PLAIN_JSON, ("authorization", self.authorization.as_str()), ACCEPT];
        let latest = self.wire.send(("GET", &format!("/api/{one}/latest-log")), &headers, None).await?.must(200)?;
        reads_a_log(&latest["data"])?;
        ensure!(text(&latest, "/data/status")? == "successful", "{latest}");
        Ok(())
    }

    pub async fn reads_logs(&self, task: i64) -> Result<()> {
        let logs = self.page("backup-task-logs", 10).await?;
        for log in &logs {
            reads_a_log(log)?;
        }
        let found = self.get("backup-task-logs?page=1&per_page=10&search=Nightly").await?;
        ensure!(items(&found)?.len() == 1, "{found}");
        let first = logs.first().context("no log")?;
        ensure!(whole(first, "/backup_task_id")? == task, "{first}");
        let one = format!("backup-task-logs/{}", whole(first, "/id")?);
        reads_a_log(&self.get(&one).await?["data"])?;
        self.deletes(&one).await
    }

    pub async fn manages_destinations(&self) -> Result<()> {
        let new = json!({"label": "bucket", "type": "custom_s3", "s3_access_key": "AK", "s3_secret_key": "SK",
            "s3_bucket_name": "bk", "custom_s3_region": "eu-west-1", "custom_s3_endpoint": "https://minio.example:9000",
            "path_style_endpoint": true});
        let change = json!({"label": "bucket 2", "type": "custom_s3"});
        let one = self.edits("backup-destinations", &new, &change, |item| text(item, "/type_human").map(drop)).await?;
        self.deletes(&one).await
    }

    pub async fn manages_servers(&self) -> Result<()> {
        let reads = |item: &Value| {
            text(item, "/connection/ip_address")?;
            text(item, "/connection/username")?;
            whole(item, "/connection/port")?;
            truth(item, "/connection/is_database_password_set")?;
            text(item, "/status/connectivity")?;
            if item["status"]["last_connected_at"].is_null() { Ok(()) } else { time(item, "/status/last_connected_at") }
        };
        let new = json!({"label": "web", "ip_address": "192.0.2.11", "username": "backup", "port": 22});
        let change = json!({"label": "web 2", "ip_address": "192.0.2.11", "username": "backup", "port": 2222});
        let one = self.edits("remote-servers", &new, &change, reads).await?;
        self.deletes(&one).await
    }

    pub async fn manages_streams(&self) -> Result<()> {
        let reads = |item: &Value| {
            text(item, "/type")?;
            text(item, "/type_human")?;
            truth(item, "/notifications/on_success")?;
            truth(item, "/notifications/on_failure").map(drop)
        };
        let new = json!({"label": "me", "type": "email", "value": USER_EMAIL,
            "notifications": {"on_success": true, "on_failure": true}});
        let change = json!({"label": "me too", "type": "email", "value": USER_EMAIL,
            "notifications": {"on_success": false, "on_failure": true}});
        let one = self.edits("notification-streams", &new, &change, reads).await?;
        self.deletes(&one).await
    }

    pub async fn manages_tags(&self) -> Result<()> {
        let new = json!({"label": "Prod", "description": "All of it"});
        let one = self.edits("tags", &new, &json!({"label": "Production"}), |_| Ok(())).await?;
        self.ask("DELETE", &one, None).await?.must(200)?;
        Ok(())
    }

    pub async fn meets_errors(&self) -> Result<()> {
        let stranger = Self { wire: Wire::new(&self.wire.url())?, authorization: "Bearer 1|nobody".to_owned() };
        stranger.ask("GET", "user", None).await?.must(401)?;
        self.ask("GET", "tags/999", None).await?.must(404)?;
        self.ask("POST", "tags", Some(&json!({"label": ""}))).await?.must(422)?;
        Ok(())
    }
}

fn reads_a_task(task: &Value) -> Result<()> {
    for name in ["id", "user_id", "remote_server_id", "backup_destination_id", "notification_streams_count"] {
        whole(task, &format!("/{name}"))?;
    }
    for name in ["label", "status", "source/path", "source/type", "schedule/frequency"] {
        text(task, &format!("/{name}"))?;
    }
    whole(task, "/storage/max_backups")?;
    truth(task, "/has_isolated_credentials")?;
    time(task, "/created_at")?;
    time(task, "/updated_at")
}

fn reads_a_log(log: &Value) -> Result<()> {
    whole(log, "/id")?;
    whole(log, "/backup_task_id")?;
    text(log, "/output")?;
    text(log, "/status")?;
    time(log, "/finished_at")?;
    time(log, "/created_at")
}
