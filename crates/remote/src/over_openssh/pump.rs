//! Carries the output of an `ssh` to whoever reads it. `ssh` itself answers the server's questions for a sign of life while
//! nobody reads; memory is bounded by the pipes and by what one read takes.

use super::process::Process;
use crate::Event;
use crate::greeting::Greeting;
use crate::running::Item;
use bytes::BytesMut;
use holdfast_domain::{Failure, FailureCode, Step};
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;

/// What one read takes at most, bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// One program's carrier.
pub(super) struct Pump {
    process: Process,
    output: (ChildStdout, ChildStderr),
    greeting: Greeting,
}

impl Pump {
    pub(super) fn new(process: Process, output: (ChildStdout, ChildStderr), greeting: Greeting) -> Self {
        Self { process, output, greeting }
    }

    /// Carries until `ssh` is over and everything was delivered, or the reader is gone.
    pub(super) async fn run(self, out: mpsc::Sender<Item>) {
        let Self { mut process, output: (mut stdout, mut stderr), mut greeting } = self;
        let (mut has_stdout, mut has_stderr) = (true, true);
        let (mut said, mut words) = (BytesMut::new(), BytesMut::new());
        while has_stdout || has_stderr {
            said.reserve(PIECE_BYTES);
            words.reserve(PIECE_BYTES / 16);
            let event = tokio::select! {
                read = stdout.read_buf(&mut said), if has_stdout => {
                    has_stdout = matches!(read, Ok(1..));
                    Event::Stdout(said.split().freeze())
                }
                read = stderr.read_buf(&mut words), if has_stderr => {
                    has_stderr = matches!(read, Ok(1..));
                    let words = words.split().freeze();
                    greeting.hear(&words);
                    Event::Stderr(words)
                }
                () = out.closed() => return,
            };
            let is_empty = matches!(&event, Event::Stdout(bytes) | Event::Stderr(bytes) if bytes.is_empty());
            if !is_empty && out.send(Ok(event)).await.is_err() {
                return;
            }
        }
        let last = tokio::select! {
            last = verdict(&mut process) => last,
            () = out.closed() => return,
        };
        let _ = out.send(last).await;
    }
}

/// How it ended: well only with the program's own status, and after the server had sent everything.
async fn verdict(process: &mut Process) -> Item {
    let (status, said) = process.end().await;
    match status.map(u32::try_from) {
        Some(Ok(status)) if said.has_status && said.has_all => Ok(Event::Exited(status)),
        _ if said.has_signal && said.has_all => Err(Failure::new(
            Step::Stream,
            FailureCode::SourceFailed,
            "the program on the server was ended by a signal (KILL, TERM or another one).",
        )),
        _ => Err(process.lost(Step::Stream)),
    }
}
