//! `testbed run <command…>`: the command with a test cluster of its own. `testbed nextest-setup`: the same for one
//! nextest run, which calls it before the tests; the cluster ends with that nextest process.

use anyhow::{Context, Result, bail};
use holdfast_testbed::postgres::{CLUSTER_ENV, Cluster};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        Some(("run", [program, rest @ ..])) => run(program, rest).await,
        Some(("nextest-setup", [])) => nextest_setup(),
        Some(("serve-until-gone", [pid])) => serve_until_gone(pid.parse().context("a process id")?).await,
        _ => bail!("usage: testbed run <command…>"),
    }
}

async fn run(program: &str, arguments: &[String]) -> Result<ExitCode> {
    let cluster = Cluster::start().await?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env(CLUSTER_ENV, cluster.socket_dir())
        .status()
        .await
        .with_context(|| format!("starting {program}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Starts `serve-until-gone` in the background, waits for the name of its socket folder, and hands it to nextest.
fn nextest_setup() -> Result<ExitCode> {
    let env_file = std::env::var_os("NEXTEST_ENV").context("NEXTEST_ENV is set by nextest")?;
    let socket_dir = match std::env::var(CLUSTER_ENV) {
        Ok(existing) => existing,
        Err(_) => start_server_of(rustix::process::getppid().context("a parent process")?.as_raw_nonzero().get())?,
    };
    let mut file = std::fs::OpenOptions::new().append(true).open(env_file)?;
    writeln!(file, "{CLUSTER_ENV}={socket_dir}")?;
    Ok(ExitCode::SUCCESS)
}

fn start_server_of(pid: i32) -> Result<String> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve-until-gone", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().context("its stdout")?), &mut line)?;
    if line.trim().is_empty() {
        bail!("the test cluster did not start");
    }
    Ok(line.trim().to_owned())
}

/// Keeps a cluster until the process `pid` has ended.
async fn serve_until_gone(pid: i32) -> Result<ExitCode> {
    let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
    let watched = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let cluster = Cluster::start().await?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", cluster.socket_dir().display())?;
    }
    tokio::task::spawn_blocking(move || {
        let mut fds = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::IN)];
        while rustix::event::poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
    })
    .await?;
    drop(cluster);
    Ok(ExitCode::SUCCESS)
}
