//! One `ssh`, with those that it starts for its jump hosts.

use super::config::{self, Names};
use super::log::{Heard, Listener, Said};
use super::{Place, config::shown};
use crate::{failure, program, public_line};
use holdfast_domain::{Failure, FailureCode, Step};
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::task::AbortOnDropHandle;

/// `ssh` holds at most so much for us in each direction, where the system lets us say so.
const PIPE_BYTES: usize = 1024 * 1024;

/// How much is read of what the servers presented: a key is less than two kilobytes, and `ssh` tells of it a few times.
const SHOWN_MAX_BYTES: u64 = 64 * 1024;

/// Standard input; standard output and error.
type Ends = (ChildStdin, (ChildStdout, ChildStderr));

/// A running `ssh`. Dropping it ends it and all that it started, and removes its files.
pub(super) struct Process {
    child: Child,
    /// Its standard input, output and error, until they are taken: waiting for a child would close the input.
    ends: Option<Ends>,
    group: Option<Pid>,
    /// What each server's `ssh` says; the last one is the process itself.
    heard: Vec<Heard>,
    /// The listeners of the jump hosts.
    _others: Vec<AbortOnDropHandle<()>>,
    own: Option<AbortOnDropHandle<Listener>>,
    stop: tokio_util::sync::CancellationToken,
    names: Vec<String>,
    place: Arc<Place>,
}

impl Process {
    /// Starts the `number`th `ssh` of a connection.
    pub(super) fn start(place: &Arc<Place>, number: usize) -> Result<Self, Failure> {
        let route = &place.route;
        let names = Names { folder: &place.folder.path(""), number };
        let text = config::text(route, &names, place.vetted, place.include.as_deref(), place.timing);
        let mut files = vec![names.config()];
        let failed = |error: std::io::Error| not_started(&error);
        place.folder.write(&names.config(), &text).map_err(failed)?;
        let (mut heard, mut listeners) = (Vec::new(), Vec::new());
        for at in 0..=route.jumps.len() {
            let (listener, hears) = Listener::new(place.folder.pipe(&names.log(at)).map_err(failed)?);
            files.push(names.log(at));
            heard.push(hears);
            listeners.push(listener);
        }
        let at = route.jumps.len();
        let mut command = Command::new("ssh");
        command
            .arg("-F")
            .arg(place.folder.path(&names.config()))
            .arg("-E")
            .arg(place.folder.path(&names.log(at)))
            .args(["-T", "--", &config::alias(at, &route.peer), program::EXEC])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let ends = ends_of(&mut child);
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let stop = tokio_util::sync::CancellationToken::new();
        let own = listeners.pop().map(|mut listener| {
            let stop = stop.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                stop.run_until_cancelled(listener.listen()).await;
                listener
            }))
        });
        let others = listeners
            .into_iter()
            .map(|mut listener| AbortOnDropHandle::new(tokio::spawn(async move { listener.listen().await })))
            .collect();
        Ok(Self { child, ends, group, heard, _others: others, own, stop, names: files, place: place.clone() })
    }

    /// Its standard input, output and error; once.
    pub(super) fn take_ends(&mut self) -> Option<Ends> {
        self.ends.take()
    }

    /// What the `ssh` of the server at `at` said so far.
    pub(super) fn said(&self, at: usize) -> Said {
        self.heard.get(at).map(Heard::now).unwrap_or_default()
    }

    /// Waits until it is logged in at the last server, or over.
    pub(super) async fn until_logged_in(&mut self) {
        let mut last = self.heard.last().cloned();
        let logged_in = async {
            if let Some(heard) = &mut last {
                heard.until(|said| said.is_authenticated).await;
            }
        };
        tokio::select! {
            () = logged_in => {}
            _ = self.child.wait() => {}
        }
    }

    /// Waits until the command runs, was refused, or it is over.
    pub(super) async fn until_started(&mut self) -> Said {
        let mut last = self.heard.last().cloned();
        let started = async {
            if let Some(heard) = &mut last {
                heard.until(|said| said.is_started.is_some()).await;
            }
        };
        tokio::select! {
            () = started => self.said(self.heard.len() - 1),
            _ = self.child.wait() => self.finish().await,
        }
    }

    /// Its exit status, and everything it said. Only once.
    pub(super) async fn end(&mut self) -> (Option<i32>, Said) {
        let status = self.child.wait().await.ok().and_then(|status| status.code());
        (status, self.finish().await)
    }

    /// The process is over: takes what its log still holds.
    async fn finish(&mut self) -> Said {
        self.stop.cancel();
        if let Some(own) = self.own.take()
            && let Ok(mut listener) = own.await
        {
            listener.finish();
        }
        self.said(self.heard.len() - 1)
    }

    /// The key that the server at `at` presented, if it came that far.
    pub(super) fn shown_key(&self, at: usize) -> Option<String> {
        // `ssh` asks without a key first, to know which kinds are wanted; it answers that with the word NONE.
        self.place.folder.read(&shown(at), SHOWN_MAX_BYTES).lines().rev().find_map(public_line)
    }

    /// Why the connection ended: where the `ssh` of a jump host says so, that is why.
    pub(super) fn lost(&self, step: Step) -> Failure {
        let all: Vec<Said> = self.heard.iter().map(Heard::now).collect();
        if all.iter().any(|said| said.is_stalled) {
            return failure::stalled(step, "nothing came from the server, not even an answer to a keepalive.");
        }
        let words =
            all.iter().find_map(|said| said.last_words.as_deref().filter(|words| !words.starts_with("Authenticated")));
        let how = words.unwrap_or("`ssh` ended without a word");
        let detail = format!("the connection ended before the program did: {how}.");
        Failure::new(step, FailureCode::ConnectionLost, detail)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only while it is not reaped its number is its own.
        if self.child.id().is_some()
            && let Some(group) = self.group
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for name in &self.names {
            self.place.folder.remove(name);
        }
    }
}

fn ends_of(child: &mut Child) -> Option<Ends> {
    let (input, output, error) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
    let _ = rustix::pipe::fcntl_setpipe_size(&input, PIPE_BYTES);
    let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES);
    Some((input, (output, error)))
}

fn not_started(error: &std::io::Error) -> Failure {
    let detail = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "this worker has no `ssh` program, which the transport openssh needs.".to_owned()
        }
        _ => format!("`ssh` could not be started on the worker: {error}."),
    };
    Failure::new(Step::Connect, FailureCode::Internal, detail)
}
