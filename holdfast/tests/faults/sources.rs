//! Trees that are not as they should be: exactly what the user reads, through the whole product.

use crate::stage::{POLL, Stage};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::LinkPlan;
use holdfast_testbed::postgres::Database;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A folder of the log-in's with one file in it.
fn folder(stage: &Stage, name: &str) -> Result<PathBuf> {
    let path = stage.login.home().join(name);
    fs::create_dir(&path)?;
    fs::write(path.join("a"), "1")?;
    Ok(path)
}

async fn outcome(stage: &Stage, paths: &[&Path]) -> Result<Value> {
    for path in paths.iter().filter(|path| path.exists()) {
        stage.login.give(path)?;
    }
    let task = stage.task(stage.server, paths).await?;
    let run = stage.start_run_of(task).await?;
    stage.ended(&run).await
}

fn failed(run: &Value, code: &str, message: &str) -> Result<()> {
    ensure!(run["status"] == "failed" && run["error_code"] == code && run["attempt"] == 1, "not {code}: {run:#}");
    ensure!(run["error_message"] == message, "not {message:?}: {run:#}");
    ensure!(run["backup_id"].is_null(), "{run:#}");
    Ok(())
}

/// `(code, path)` of a run that succeeded with warnings.
fn warned(run: &Value) -> Result<Vec<(String, String)>> {
    ensure!(run["status"] == "succeeded_with_warnings" && run["backup_id"].is_i64(), "{run:#}");
    let warnings = run["warnings"].as_array().context("no list of warnings")?;
    ensure!(run["warning_count"] == warnings.len() && !warnings.is_empty(), "{run:#}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    ensure!(warnings.iter().all(|warning| !text(&warning["message"]).is_empty()), "{run:#}");
    Ok(warnings.iter().map(|warning| (text(&warning["code"]), text(&warning["path"]))).collect())
}

fn pair(code: &str, path: &Path) -> (String, String) {
    (code.to_owned(), path.display().to_string())
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_or_named() -> Result<()> {
    let stage = Stage::start().await?;
    let _worker = stage.worker()?;

    let good = folder(&stage, "good")?;
    let run = outcome(&stage, &[&good, Path::new("/no/such path")]).await?;
    let said = "While starting the program on the server: /no/such path does not exist, or this user cannot \
                reach it. Correct the task's paths, or create the path on the server.";
    failed(&run, "missing_path", said)?;

    let shut = folder(&stage, "shut")?;
    fs::set_permissions(shut.join("a"), Permissions::from_mode(0o000))?;
    fs::write(shut.join("b"), "2")?;
    let run = outcome(&stage, &[&shut]).await?;
    ensure!(warned(&run)? == [pair("unreadable", &shut.join("a"))], "{run:#}");

    let odd = folder(&stage, "odd")?;
    let made = std::process::Command::new("mkfifo").arg(odd.join("pipe")).status()?;
    let _socket = std::os::unix::net::UnixListener::bind(odd.join("socket"))?;
    let run = outcome(&stage, &[&odd]).await?;
    ensure!(made.success() && warned(&run)? == [pair("not_stored", &odd.join("socket"))], "{run:#}");
    // The pipe is in the backup, as a pipe.
    let backup = run["backup_id"].as_i64().context("no backup")?;
    let listed = stage.client.get(&format!("backups/{backup}/files?path={}", odd.display())).await?;
    ensure!(listed.to_string().contains("/pipe\""), "{listed:#}");
    stage.assert_clean().await
}

#[tokio::test]
async fn a_server_without_tar_is_told_to_install_it() -> Result<()> {
    let bin = tempfile::tempdir()?;
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755))?;
    for tool in ["base64", "tr"] {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(tool), bin.path().join(tool))?;
    }
    let path = format!("SetEnv PATH={}", bin.path().display());
    let stage = Stage::with(Database::fresh().await?, &[], &path).await?;
    let _worker = stage.worker()?;
    let run = outcome(&stage, &[&stage.tree]).await?;
    let said = "While starting the program on the server: tar is not there. Install the named program on the server.";
    failed(&run, "missing_tool", said)?;
    stage.assert_clean().await
}

#[tokio::test]
async fn files_that_change_under_the_reader_are_named() -> Result<()> {
    let stage = Stage::start().await?;
    let _worker = stage.worker()?;
    let mut cases = Vec::new();
    for what in ["grow", "shrink", "vanish"] {
        let root = folder(&stage, what)?;
        // More than window and buffers take, so that tar waits in the middle of it.
        fs::File::create(root.join("big"))?.set_len(96 << 20)?;
        fs::write(root.join("z"), "last")?;
        stage.login.give(&root)?;
        let plan = LinkPlan { bytes_per_second: 24 << 20, ..LinkPlan::default() };
        let (proxy, server) = stage.server_behind(plan).await?;
        let task = stage.task(server, &[&root]).await?;
        cases.push((what, root, proxy, stage.start_run_of(task).await?));
    }
    for (what, root, proxy, _) in &cases {
        let until = Instant::now() + crate::stage::LIMIT;
        while proxy.down_bytes() < 1 << 20 {
            ensure!(Instant::now() < until, "nothing moves");
            tokio::time::sleep(POLL / 5).await;
        }
        let big = root.join("big");
        match *what {
            "grow" => OpenOptions::new().append(true).open(&big)?.write_all(b"more")?,
            "shrink" => OpenOptions::new().write(true).open(&big)?.set_len(88 << 20)?,
            _ => fs::remove_file(root.join("z"))?,
        }
    }
    for (what, root, _, run) in &cases {
        let (code, file) = match *what {
            "grow" => ("changed", "big"),
            "shrink" => ("shrunk", "big"),
            _ => ("vanished", "z"),
        };
        let run = stage.ended(run).await?;
        ensure!(warned(&run)?.contains(&pair(code, &root.join(file))), "{what}: {run:#}");
    }
    stage.assert_clean().await
}

#[tokio::test]
async fn a_tar_that_is_killed_is_no_end() -> Result<()> {
    let stage = Stage::start().await?;
    let _worker = stage.worker()?;
    // Zeros, so that little is stored; tar waits in the middle of them.
    fs::File::create(stage.tree.join("zeros"))?.set_len(64 << 20)?;
    stage.login.give(&stage.tree)?;
    let (proxy, server) = stage.server_behind(LinkPlan { bytes_per_second: 24 << 20, ..LinkPlan::default() }).await?;
    let run = stage.start_run(server).await?;
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 1 << 20 {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL / 5).await;
    }
    let processes = stage.login.processes()?;
    let tar = processes.iter().find(|line| line.contains(" tar ")).with_context(|| format!("{processes:?}"))?;
    let pid = tar.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    kill_process(pid.context("no process id")?, Signal::KILL)?;
    let ended = stage.ended(&run).await?;
    let log = stage.log_of(&run).await;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == 2, "{ended:#}\n{log}");
    ensure!(log.contains("While finishing the source: ") && log.contains("The next attempt follows"), "{log}");
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}
