//! Destinations that are full, slow, or fail to keep what they took. What the disk's calls answer is injected with
//! strace into the real worker; where strace may not attach (no ptrace), those tests say so and prove nothing.

use crate::stage::{Role, Stage, make_noise};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::postgres::Database;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Calls of a running process that answer otherwise; as before when dropped.
struct Injection(Child);

impl Injection {
    /// `None` where strace cannot attach.
    fn into(worker: &Role, call: &str, inject: &str) -> Result<Option<Self>> {
        let mut strace = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"])
            .args([&format!("inject={call}:{inject}"), "-p", &worker.pid().to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("starting strace")?;
        let until = Instant::now() + Duration::from_secs(10);
        while !is_traced(worker.pid()) {
            if let Some(status) = strace.try_wait()? {
                use std::io::Write as _;
                writeln!(std::io::stdout(), "SKIPPED: strace cannot attach here ({status})")?;
                return Ok(None);
            }
            ensure!(Instant::now() < until, "strace does not attach");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(Self(strace)))
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // An interrupt lets it detach; killed, it would take the worker's stopped threads with it.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
        let _ = self.0.wait();
    }
}

fn is_traced(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    })
}

#[tokio::test]
async fn a_disk_that_cannot_keep_the_bytes_makes_no_backup() -> Result<()> {
    let stage = Stage::start().await?;
    let worker = stage.worker()?;
    // The folders of the destination are made and kept by a good run.
    let run = stage.start_run(stage.server).await?;
    let first = stage.ended(&run).await?;
    ensure!(first["status"] == "succeeded", "{first:#}");
    let Some(injection) = Injection::into(&worker, "fsync", "error=EIO")? else { return Ok(()) };
    let run = stage.start_run(stage.server).await?;
    let ended = stage.ended(&run).await?;
    drop(injection);
    ensure!(ended["status"] == "failed" && ended["error_code"] == "destination_failed", "{ended:#}");
    ensure!(ended["attempt"] == 3 && ended["backup_id"].is_null(), "{ended:#}");
    let said = ended["error_message"].as_str().unwrap_or_default();
    ensure!(said.contains("Check the destination with `POST /api/backup-destinations/{id}/check`"), "{said}");
    stage.assert_clean().await?;
    stage.assert_comes_back(&first).await?;
    let run = stage.start_run(stage.server).await?;
    ensure!(stage.ended(&run).await?["status"] == "succeeded", "the disk is well again");
    stage.assert_clean().await
}

#[tokio::test]
async fn a_slow_destination_does_not_lose_a_server_that_checks_liveness() -> Result<()> {
    let checking = "ClientAliveInterval 1\nClientAliveCountMax 3";
    let stage = Stage::with(Database::fresh().await?, &[], checking).await?;
    // Beyond the window, so that the server has to wait for us.
    make_noise(&stage.tree.join("large"), 32 << 20)?;
    stage.login.give(&stage.tree)?;
    let worker = stage.worker()?;
    let Some(injection) = Injection::into(&worker, "write", "delay_enter=25ms")? else { return Ok(()) };
    let begun = Instant::now();
    let run = stage.start_run(stage.server).await?;
    let ended = stage.ended(&run).await?;
    let lasted = begun.elapsed();
    drop(injection);
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{ended:#}\n{}", stage.log_of(&run).await);
    ensure!(lasted > Duration::from_secs(5), "the destination was not slow: {lasted:?}");
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}

/// A file system of a few MiB over a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Result<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status()?;
        ensure!(mounted.success(), "mounting needs root");
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_destination_fails_the_run_and_keeps_what_is_older() -> Result<()> {
    let stage = Stage::start().await?;
    let _disk = SmallDisk::mount(&stage.disk(), "10m")?;
    let _worker = stage.worker()?;
    let task = stage.task(stage.server, &[&stage.tree]).await?;
    let run = stage.start_run_of(task).await?;
    let first = stage.ended(&run).await?;
    ensure!(first["status"] == "succeeded", "{first:#}");
    // How much it needs is known: nothing is begun.
    let run = stage.start_run_of(task).await?;
    let second = stage.ended(&run).await?;
    ensure!(second["status"] == "failed" && second["error_code"] == "low_space", "{second:#}");
    ensure!(second["attempt"] == 1 && second["backup_id"].is_null(), "{second:#}");
    // The first backup of another task: it is found out by writing.
    let run = stage.start_run(stage.server).await?;
    let second = stage.ended(&run).await?;
    ensure!(second["status"] == "failed" && second["error_code"] == "destination_full", "{second:#}");
    ensure!(second["attempt"] == 3 && second["backup_id"].is_null(), "{second:#}");
    let said = second["error_message"].as_str().unwrap_or_default();
    ensure!(said.starts_with("While ") && said.contains("nothing older was deleted to make room"), "{said}");
    stage.assert_clean().await?;
    stage.assert_comes_back(&first).await
}
