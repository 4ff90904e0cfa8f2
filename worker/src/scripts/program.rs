//! One script on one connection, until it ended, took too long or was stopped. Its own exit status is its end: what holds its
//! output open afterwards is not waited for.

use super::output::Output;
use holdfast_domain::Failure;
use holdfast_domain::script::Interpreter;
use holdfast_remote::{Event, Running, Session};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is executed on the server, whatever the script.
const PROGRAM: &str = include_str!("script.sh");

/// The last output may be on its way when the status arrives.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of one line of ours, about; a log-in shell's own words are longer and no matter.
const LINE_HELD_BYTES: usize = 256;

/// A script to be run.
pub struct Invocation<'a> {
    /// What runs it.
    pub interpreter: Interpreter,
    /// Variables and text, as `script.sh` reads them.
    pub payload: &'a SecretString,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This is its own exit status.
    Exited(u32),
    /// It did not begin: why.
    NotBegun(String),
    /// It took too long, and was killed with everything it started.
    TimedOut {
        /// Whether a look on the server saw that nothing of it is left.
        is_gone: bool,
    },
    /// It was told to stop.
    Stopped {
        /// As in [`Ended::TimedOut`].
        is_gone: bool,
    },
}

/// Runs a script; gives the session back if it can be used further.
///
/// # Errors
/// The connection broke: whether the script ran is unknown, and what is left of it is killed there.
pub async fn run(
    mut session: Session,
    call: &Invocation<'_>,
    stop: &CancellationToken,
    output: &mut Output<'_>,
) -> Result<(Ended, Option<Session>), Failure> {
    let fields: [&[u8]; 2] = [call.interpreter.as_str().as_bytes(), call.payload.expose_secret().as_bytes()];
    let mut running = session.start(PROGRAM, &fields).await?;
    let mut deadline = Instant::now() + call.timeout;
    let mut words = Words::default();
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled(), if words.ended.is_none() => {
                return Ok((Ended::Stopped { is_gone: kill(running).await }, None));
            }
            () = tokio::time::sleep_until(deadline) => {
                return Ok(match words.ended {
                    // Something that it left holds its output open: the connection is given up.
                    Some(status) => (Ended::Exited(status), None),
                    None => (Ended::TimedOut { is_gone: kill(running).await }, None),
                });
            }
            event = running.next() => event?,
        };
        match event {
            Event::Stdout(bytes) => output.feed(&bytes),
            Event::Stderr(bytes) => {
                let had_ended = words.ended.is_some();
                words.feed(&bytes);
                if !had_ended && words.ended.is_some() {
                    deadline = Instant::now() + DRAIN;
                }
            }
            Event::Exited(status) => {
                drop(running);
                return Ok((words.verdict(status, call.interpreter), Some(session)));
            }
        }
    }
}

async fn kill(running: Running) -> bool {
    running.cancel().await.process_terminated
}

/// What our own program says.
#[derive(Default)]
struct Words {
    line: Vec<u8>,
    ended: Option<u32>,
    is_missing: bool,
}

impl Words {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.take();
                self.line.clear();
            } else if self.line.len() < LINE_HELD_BYTES {
                self.line.push(*byte);
            }
        }
    }

    fn take(&mut self) {
        let Ok(line) = std::str::from_utf8(&self.line) else { return };
        self.is_missing |= line == "holdfast:missing";
        if let Some(status) = line.strip_prefix("holdfast:ended ").and_then(|text| text.parse().ok()) {
            self.ended = Some(status);
        }
    }

    fn verdict(&self, status: u32, interpreter: Interpreter) -> Ended {
        match self.ended {
            Some(status) => Ended::Exited(status),
            None if self.is_missing => Ended::NotBegun(format!("there is no {} on the server", interpreter.as_str())),
            None => Ended::NotBegun(format!("the shell that was to run it ended with status {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_of_ours_is_an_end() {
        let mut words = Words::default();
        words.feed(b"motd\nholdfast:ended 1");
        assert_eq!(words.ended, None);
        words.feed(b"2\nxholdfast:ended 0\n");
        assert_eq!(words.verdict(0, Interpreter::Sh), Ended::Exited(12));
        let mut words = Words::default();
        words.feed(b"holdfast:missing\n");
        let Ended::NotBegun(why) = words.verdict(90, Interpreter::Python3) else { panic!("it ended") };
        assert!(why.contains("python3"));
    }
}
