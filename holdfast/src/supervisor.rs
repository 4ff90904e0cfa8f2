//! Keeps processes of this program running: starts them, starts them again when they end (waiting longer each time),
//! passes on the wish to end, and kills what does not follow. It must never leave one behind.

use crate::lifecycle::{Lifecycle, PARENT_ENV};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A process that lived so long is well; its next end starts the waiting anew.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How long a process may take to stop at once before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// One process to keep.
pub struct Service {
    /// As it is called in the log.
    pub name: String,
    /// The role and its options.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// What it finds on standard input: a listening socket, so that a restart loses no connection.
    pub stdin: Option<OwnedFd>,
    /// How long it may drain before it is told to stop at once.
    pub drain: Duration,
}

/// Runs `service` until the lifecycle ends and its process with it.
///
/// # Errors
/// The program itself cannot be found. A process that does not start is tried again.
pub async fn keep(service: &Service, lifecycle: &Lifecycle) -> Result<()> {
    let program = std::env::current_exe().context("the path of this program")?;
    let mut backoff = FIRST_BACKOFF;
    while !lifecycle.soft.is_cancelled() {
        let started = Instant::now();
        match start(service, &program) {
            Ok(mut child) => {
                tracing::info!(service = service.name, pid = child.id(), "started");
                let Some(status) = watch(service, &mut child, lifecycle).await? else { return Ok(()) };
                tracing::error!(service = service.name, %status, "ended by itself");
            }
            Err(error) => tracing::error!(service = service.name, "cannot be started: {error:#}"),
        }
        if started.elapsed() > WELL_AFTER {
            backoff = FIRST_BACKOFF;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = lifecycle.soft.cancelled() => {}
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
    Ok(())
}

/// Own process group: Ctrl-C at the terminal must reach the supervisor alone, which decides on the order.
fn start(service: &Service, program: &std::path::Path) -> Result<Child> {
    let stdin = match &service.stdin {
        Some(fd) => Stdio::from(fd.try_clone().context("the listening socket")?),
        None => Stdio::null(),
    };
    Command::new(program)
        .args(&service.arguments)
        .env_clear()
        .envs(service.env.iter().map(|(key, value)| (key, value)))
        .env(PARENT_ENV, std::process::id().to_string())
        .stdin(stdin)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| program.display().to_string())
}

/// Waits for the process; its status if it ended by itself, none if it was told to end.
async fn watch(service: &Service, child: &mut Child, lifecycle: &Lifecycle) -> Result<Option<ExitStatus>> {
    tokio::select! {
        status = child.wait() => return Ok(Some(status.context("waiting for a process")?)),
        () = lifecycle.soft.cancelled() => {}
    }
    ask_to_end(child);
    tokio::select! {
        status = child.wait() => return ended(service, status),
        () = lifecycle.hard.cancelled() => {}
        () = tokio::time::sleep(service.drain) => tracing::warn!(service = service.name, "took too long to drain"),
    }
    ask_to_end(child);
    match tokio::time::timeout(STOP_TIMEOUT, child.wait()).await {
        Ok(status) => ended(service, status),
        Err(_) => {
            tracing::warn!(service = service.name, "does not stop and is killed");
            child.kill().await.context("killing a process")?;
            Ok(None)
        }
    }
}

fn ended(service: &Service, status: std::io::Result<ExitStatus>) -> Result<Option<ExitStatus>> {
    tracing::info!(service = service.name, status = %status.context("waiting for a process")?, "stopped");
    Ok(None)
}

fn ask_to_end(child: &Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    // A process that has just ended cannot be told anything; waiting for it tells how it ended.
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell(script: &str) -> Service {
        let arguments = vec!["-c".into(), script.into()];
        let env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        Service { name: "sh".into(), arguments, env, stdin: None, drain: Duration::from_secs(30) }
    }

    #[tokio::test]
    async fn the_environment_of_a_child_is_only_what_was_given() {
        let service =
            shell("env | sort | cut -d= -f1 | grep -v -e '^_$' -e '^PWD$' -e '^SHLVL$' | tr '\\n' ' ' >&2; exit 3");
        let mut child = start(&service, Path::new("/bin/sh")).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
        let service = shell("test \"$(env | grep -c HOLDFAST_)\" = 1 && test -z \"$CARGO\" && test -z \"$HOME\"");
        let mut child = start(&service, Path::new("/bin/sh")).unwrap();
        assert!(child.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn the_first_wish_drains_and_the_second_stops() {
        let lifecycle = Lifecycle::default();
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = "n=0; trap 'n=$((n+1))' TERM; : >\"$0\"; while [ $n -lt 2 ]; do sleep 0.02; done; exit 0";
        let mut service = shell(script);
        service.arguments.push(ready.clone().into());
        let mut child = start(&service, Path::new("/bin/sh")).unwrap();
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
        let watched = watch(&service, &mut child, &lifecycle);
        let wishes = async {
            lifecycle.soft.cancel();
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(rustix::process::test_kill_process(pid).is_ok(), "it drains");
            lifecycle.hard.cancel();
        };
        let (status, ()) = tokio::join!(watched, wishes);
        assert!(status.unwrap().is_none());
        assert!(rustix::process::test_kill_process(pid).is_err(), "it is gone");
    }
}
