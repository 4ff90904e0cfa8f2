//! The extension of a launcher: JSON with numbers as texts and empty texts for what was left out; what went wrong it shows
//! from `message` alone.

use super::wire::{Reply, Wire, items, text, whole};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

pub struct Launcher {
    wire: Wire,
    authorization: String,
}

impl Launcher {
    pub fn new(wire: Wire, secret: &str) -> Self {
        Self { wire, authorization: format!("Bearer {secret}") }
    }

    async fn ask(&self, method: &str, endpoint: &str, body: Option<&Value>) -> Result<Reply> {
        let headers = [
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("authorization", self.authorization.as_str()),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
            ("user-agent", "node"),
            ("accept-encoding", "gzip, deflate"),
        ];
        let body = body.map(Value::to_string);
        self.wire.send((method, &format!("/api/{endpoint}")), &headers, body.as_deref()).await
    }

    async fn list(&self, endpoint: &str) -> Result<Vec<Value>> {
        let list = self.ask("GET", endpoint, None).await?.must(200)?;
        Ok(items(&list)?.clone())
    }

    async fn adds(&self, endpoint: &str, body: &Value) -> Result<()> {
        self.ask("POST", endpoint, Some(body)).await?.must(201)?;
        let label = text(body, "/label")?;
        let list = self.list(endpoint).await?;
        ensure!(list.iter().any(|item| item["label"] == label), "{label} is not in {list:?}");
        Ok(())
    }

    pub async fn adds_a_server(&self) -> Result<()> {
        self.ask("GET", "ssh-key", None).await?.must(200)?;
        let server = json!({"label": "web", "ip_address": "192.0.2.12", "port": 22, "username": "backup",
            "database_password": ""});
        self.adds("remote-servers", &server).await?;
        for server in self.list("remote-servers").await? {
            text(&server, "/connection/ip_address")?;
            ensure!(["checking", "online", "offline", "unknown"].contains(&text(&server, "/status/connectivity")?));
        }
        Ok(())
    }

    pub async fn adds_destinations(&self) -> Result<()> {
        let store = json!({"label": "bucket", "type": "custom_s3", "s3_access_key": "AK", "s3_secret_key": "SK",
            "s3_bucket_name": "bk", "custom_s3_endpoint": "https://minio.example", "custom_s3_region": "",
            "path_style_endpoint": true});
        self.adds("backup-destinations", &store).await?;
        let cloud = json!({"label": "cloud", "type": "s3", "s3_access_key": "AK", "s3_secret_key": "SK",
            "s3_bucket_name": "bk", "custom_s3_endpoint": "", "custom_s3_region": "eu-west-1", "path_style_endpoint": false});
        self.adds("backup-destinations", &cloud).await?;
        // What was typed before another type was chosen is sent along.
        let disk = json!({"label": "disk", "type": "local", "s3_access_key": "", "s3_secret_key": "",
            "s3_bucket_name": "", "custom_s3_endpoint": "", "custom_s3_region": "", "path_style_endpoint": true});
        self.adds("backup-destinations", &disk).await?;
        for destination in self.list("backup-destinations").await? {
            text(&destination, "/type_human")?;
        }
        Ok(())
    }

    pub async fn adds_a_task(&self, (server, destination): (i64, i64), path: &str) -> Result<()> {
        let user = self.ask("GET", "user", None).await?.must(200)?;
        text(&user, "/data/account_settings/timezone")?;
        let task = json!({"label": "Nightly", "description": "", "remote_server_id": server.to_string(), "type": "files",
            "backup_destination_id": destination.to_string(), "maximum_backups_to_keep": "5", "source_path": path,
            "store_path": "", "frequency": "daily", "time_to_run_at": "02:00"});
        self.adds("backup-tasks", &task).await?;
        for task in self.list("backup-tasks").await? {
            whole(&task, "/remote_server_id")?;
            whole(&task, "/backup_destination_id")?;
            ensure!(text(&task, "/status")? == "ready" && task["paused_at"].is_null(), "{task}");
            ensure!(text(&task, "/schedule/frequency")? == "daily", "{task}");
            ensure!(text(&task, "/schedule/scheduled_utc_time")? == "02:00", "{task}");
        }
        Ok(())
    }

    pub async fn meets_errors(&self) -> Result<()> {
        let refused =
            self.ask("POST", "backup-tasks", Some(&json!({"label": "", "type": "Database"}))).await?.must(422)?;
        ensure!(!text(&refused, "/message")?.is_empty(), "{refused}");
        let stranger = Self::new(Wire::new(&self.wire.url())?, "nobody");
        let unknown = stranger.ask("GET", "user", None).await?.must(401)?;
        ensure!(text(&unknown, "/message")? == "Unauthenticated.", "{unknown}");
        Ok(())
    }
}
