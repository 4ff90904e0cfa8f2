//! A disk that hangs (security.md F38): its runs end, and others go on. Where no file system can be mounted from a file,
//! the test says so and proves nothing.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own that can be frozen; thawed and gone when dropped.
struct FreezableDisk(PathBuf);

impl FreezableDisk {
    fn mount(image: &Path, folder: &Path) -> Result<Option<Self>> {
        std::fs::File::create(image)?.set_len(64 << 20)?;
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image).status()?;
        let mounted = Command::new("mount").args(["-o", "loop"]).arg(image).arg(folder).status()?;
        if !(made.success() && mounted.success()) {
            writeln!(std::io::stdout(), "SKIPPED: no file system can be mounted here")?;
            return Ok(None);
        }
        Ok(Some(Self(folder.to_owned())))
    }

    fn set_frozen(&self, is_frozen: bool) -> Result<()> {
        let option = if is_frozen { "-f" } else { "-u" };
        ensure!(Command::new("fsfreeze").arg(option).arg(&self.0).status()?.success(), "fsfreeze {option}");
        Ok(())
    }
}

impl Drop for FreezableDisk {
    fn drop(&mut self) {
        // Nobody who waits for a frozen disk can be killed.
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).stderr(std::process::Stdio::null()).status();
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_disk_that_hangs_holds_its_own_runs_alone_and_they_end() -> Result<()> {
    let stage = Stage::start().await?;
    let worker = stage.worker()?;
    let second = json!({"label": "hangs", "type": "local"});
    let second = stage.client.post("backup-destinations", &second).await?["data"]["id"].as_i64().unwrap_or_default();
    let task = json!({
        "label": "to the disk that hangs", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
        "remote_server_id": stage.server, "backup_destination_id": second, "source": {"paths": [stage.tree]},
    });
    let task = stage.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().unwrap_or_default();
    let team: String = sqlx::query_scalar("SELECT uuid::text FROM teams").fetch_one(&stage.pool).await?;
    let folder = stage.disk().join(team).join(second.to_string());
    std::fs::create_dir_all(&folder)?;
    let Some(disk) = FreezableDisk::mount(&stage.folder.path().join("image"), &folder)? else { return Ok(()) };
    std::fs::remove_dir(folder.join("lost+found"))?;
    let run = stage.start_run_of(task).await?;
    let first = stage.ended(&run).await?;
    ensure!(first["status"] == "succeeded", "{first:#}");

    let limit = "UPDATE backup_tasks SET max_duration_secs = 6 WHERE id = $1";
    sqlx::query(limit).bind(task).execute(&stage.pool).await?;
    disk.set_frozen(true)?;
    let hanging = stage.start_run_of(task).await?;
    for _ in 0..3 {
        let other = stage.start_run(stage.server).await?;
        let other = stage.ended(&other).await?;
        ensure!(other["status"] == "succeeded" && worker.has(&other), "{other:#}");
    }
    let ended = stage.ended(&hanging).await?;
    ensure!(ended["status"] == "failed" && ended["backup_id"].is_null(), "{ended:#}");
    ensure!(ended["error_code"] == "timed_out", "{ended:#}");
    disk.set_frozen(false)?;
    stage.assert_comes_back(&first).await?;
    stage.assert_clean().await
}
