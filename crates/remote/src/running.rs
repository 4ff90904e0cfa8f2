//! A program running on the server: its output, its input, its end.

use crate::connection::Connection;
use crate::failure;
use crate::greeting::Greeting;
use crate::termination::{self, RemoteProcess, Termination};
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};
use russh::ChannelWriteHalf;
use russh::client::Msg;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Output that is kept while only input is written; a program that says more has lost its mind.
const KEPT_WHILE_WRITING: usize = 8 * 1024 * 1024;

/// Events on their way to the reader.
const EVENTS: usize = 16;

/// How long a cancel waits for the line that names the process.
const GREETING_WAIT: Duration = Duration::from_secs(2);

/// What a running program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wrote to its standard output.
    Stdout(Bytes),
    /// It wrote to its standard error. The line `holdfast:pid …` is the prelude's.
    Stderr(Bytes),
    /// It ended, all its output has been delivered, and this is its own exit status.
    Exited(u32),
}

/// What the reader gets.
pub(crate) type Item = Result<Event, Failure>;

/// Standard input of the one command.
pub(crate) enum Input {
    /// A channel's.
    Russh(ChannelWriteHalf<Msg>),
    /// That of an `ssh`, until it was ended.
    Openssh(Option<ChildStdin>),
}

/// The input did not take it: the connection is lost.
pub(crate) struct NotTaken;

impl Input {
    async fn write(&mut self, bytes: Bytes) -> Result<(), NotTaken> {
        match self {
            Self::Russh(input) => input.data_bytes(bytes).await.map_err(|_| NotTaken),
            Self::Openssh(input) => {
                if let Some(input) = input
                    && input.write_all(&bytes).await.is_ok()
                {
                    return Ok(());
                }
                // Its `ssh` is over, or the program there reads no more: how that ended is on its way.
                std::future::pending().await
            }
        }
    }

    async fn end(&mut self) -> Result<(), NotTaken> {
        match self {
            Self::Russh(input) => input.eof().await.map_err(|_| NotTaken),
            Self::Openssh(input) => {
                drop(input.take());
                Ok(())
            }
        }
    }
}

/// The one command, which waits for its program.
pub(crate) struct Started {
    events: mpsc::Receiver<Item>,
    input: Input,
    process: Arc<OnceLock<RemoteProcess>>,
    pump: AbortOnDropHandle<()>,
}

impl Started {
    /// A command with this `input`, whose output is carried by what `pump` makes.
    pub(crate) fn spawn<P>(input: Input, pump: impl FnOnce(Greeting, mpsc::Sender<Item>) -> P) -> Self
    where
        P: Future<Output = ()> + Send + 'static,
    {
        let (out, events) = mpsc::channel(EVENTS);
        let process = Arc::new(OnceLock::new());
        let pump = AbortOnDropHandle::new(tokio::spawn(pump(Greeting::new(process.clone()), out)));
        Self { events, input, process, pump }
    }
}

/// A program running on the server. Dropping it cuts the connection, which ends the program there.
pub struct Running {
    events: mpsc::Receiver<Item>,
    kept: VecDeque<Item>,
    kept_bytes: usize,
    input: Input,
    connection: Arc<Connection>,
    process: Arc<OnceLock<RemoteProcess>>,
    pump: AbortOnDropHandle<()>,
    // Lives as long as this does: the session starts no second program meanwhile.
    _turn: Arc<()>,
}

impl Running {
    pub(crate) fn new(started: Started, connection: Arc<Connection>, turn: Arc<()>) -> Self {
        let Started { events, input, process, pump } = started;
        Self { events, kept: VecDeque::new(), kept_bytes: 0, input, connection, process, pump, _turn: turn }
    }

    /// The next event. [`Event::Exited`] is the last.
    ///
    /// # Errors
    /// `connection_lost` when the connection or the channel ended without an exit status, `stalled` when nothing came for
    /// too long, `source_failed` when a signal ended the program.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        if let Some(item) = self.kept.pop_front() {
            self.kept_bytes = self.kept_bytes.saturating_sub(size_of(&item));
            return item;
        }
        match tokio::time::timeout(self.connection.timing.silence, self.events.recv()).await {
            Ok(Some(item)) => item,
            Ok(None) => Err(self.connection.lost(Step::Stream)),
            Err(_) => Err(failure::stalled(Step::Stream, "the program on the server wrote nothing for too long.")),
        }
    }

    /// Writes to its standard input; returns when the connection has taken it. What the program says meanwhile is kept
    /// for [`Running::next`].
    ///
    /// # Errors
    /// `connection_lost`, `stalled`; `source_failed` when the program ended before it had read its input, or says too
    /// much: [`Running::next`] then gives its words and its status.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let Self { events, kept, kept_bytes, input, connection, .. } = self;
        let silence = tokio::time::sleep(connection.timing.silence);
        let writing = input.write(bytes);
        tokio::pin!(silence, writing);
        loop {
            tokio::select! {
                biased;
                done = &mut writing => return done.map_err(|_| connection.lost(Step::Stream)),
                item = events.recv() => {
                    let Some(item) = item else { return Err(connection.lost(Step::Stream)) };
                    let too_early = match &item {
                        Ok(Event::Stdout(_) | Event::Stderr(_)) => None,
                        Ok(Event::Exited(_)) => Some(ended_early()),
                        Err(failure) => Some(failure.clone()),
                    };
                    *kept_bytes += size_of(&item);
                    kept.push_back(item);
                    if too_early.is_some() || *kept_bytes > KEPT_WHILE_WRITING {
                        return Err(too_early.unwrap_or_else(said_too_much));
                    }
                }
                () = &mut silence => return Err(failure::stalled(Step::Stream, "the program on the server took no input for too long.")),
            }
        }
    }

    /// The next event, if one has already come.
    ///
    /// # Errors
    /// As [`Running::next`].
    pub fn take_ready(&mut self) -> Result<Option<Event>, Failure> {
        if let Some(item) = self.kept.pop_front() {
            self.kept_bytes = self.kept_bytes.saturating_sub(size_of(&item));
            return item.map(Some);
        }
        self.events.try_recv().ok().transpose()
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// `connection_lost`.
    pub async fn end_input(&mut self) -> Result<(), Failure> {
        self.input.end().await.map_err(|_| self.connection.lost(Step::Stream))
    }

    /// The program's process on the server, once its first line arrived.
    #[must_use]
    pub fn process(&self) -> Option<&RemoteProcess> {
        self.process.get()
    }

    /// Ends the program by ending the connection, and looks on a new one whether it is gone within 3 s; what stays is
    /// killed. All of it takes at most 10 s.
    pub async fn cancel(self) -> Termination {
        self.cancel_within(Duration::from_secs(3)).await
    }

    /// [`Running::cancel`] for a program that cleans up after itself: it gets `grace` to end on its own, and half of that
    /// once more after it was asked to.
    pub async fn cancel_within(mut self, grace: Duration) -> Termination {
        if self.process.get().is_none() {
            let _ = tokio::time::timeout(GREETING_WAIT, self.await_greeting()).await;
        }
        let Self { events, input, connection, process, pump, .. } = self;
        // In this order: russh handles no close while a receiver is full.
        drop(events);
        pump.abort();
        let _ = pump.await;
        drop(input);
        connection.end().await;
        let Some(process) = process.get() else { return Termination { process_terminated: false } };
        termination::confirm(&connection, process, grace).await
    }

    async fn await_greeting(&mut self) {
        while self.process.get().is_none() {
            if !matches!(self.events.recv().await, Some(Ok(Event::Stdout(_) | Event::Stderr(_)))) {
                return;
            }
        }
    }
}

fn ended_early() -> Failure {
    Failure::new(
        Step::Stream,
        FailureCode::SourceFailed,
        "the program on the server ended before it had read its input.",
    )
}

fn said_too_much() -> Failure {
    Failure::new(
        Step::Stream,
        FailureCode::SourceFailed,
        "the program on the server wrote too much while it was given input.",
    )
}

/// Payload of an item, bytes.
pub(crate) fn size_of(item: &Item) -> usize {
    match item {
        Ok(Event::Stdout(data) | Event::Stderr(data)) => data.len(),
        _ => 0,
    }
}
