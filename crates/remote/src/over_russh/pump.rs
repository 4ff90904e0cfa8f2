//! Carries a channel's messages to whoever reads them, and keeps the connection alive while nobody does.
//!
//! russh handles nothing while a full channel waits for its reader: a server that checks liveness would give us up after
//! seconds behind a slow destination. So while messages wait here, one more is taken each second (which lets russh's loop
//! turn) and a keepalive is sent. Memory stays bounded: [`HELD_BYTES`] at full speed, [`SIPPED_BYTES`] behind a reader that
//! stands still, after which the connection stands still too.

use super::Line;
use crate::Event;
use crate::greeting::Greeting;
use crate::running::{Item, size_of};
use holdfast_domain::{Failure, FailureCode, Step};
use russh::{ChannelMsg, ChannelReadHalf};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

/// Bytes that may wait for the reader while everything flows.
const HELD_BYTES: usize = 1024 * 1024;

/// Bytes that may wait behind a reader that takes nothing: about two minutes of sipping.
const SIPPED_BYTES: usize = 8 * 1024 * 1024;

/// Between sips and keepalives. `ClientAliveInterval 5` gives up after 15 s.
const BEAT: Duration = Duration::from_secs(1);

/// One channel's carrier.
pub(crate) struct Pump {
    channel: ChannelReadHalf,
    line: Arc<Line>,
    greeting: Greeting,
    queue: VecDeque<Item>,
    queued_bytes: usize,
    ended: Ended,
}

#[derive(Default)]
struct Ended {
    status: Option<u32>,
    signal: Option<String>,
    output: bool,
    over: bool,
}

impl Pump {
    pub(crate) fn new(channel: ChannelReadHalf, line: Arc<Line>, greeting: Greeting) -> Self {
        Self { channel, line, greeting, queue: VecDeque::new(), queued_bytes: 0, ended: Ended::default() }
    }

    /// Carries until the channel is over and everything was delivered, or the reader is gone.
    pub(crate) async fn run(mut self, out: mpsc::Sender<Item>) {
        let mut beat = tokio::time::interval_at(Instant::now() + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !(self.ended.over && self.queue.is_empty()) {
            tokio::select! {
                biased;
                permit = out.reserve(), if !self.queue.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(item) = self.queue.pop_front() {
                        self.queued_bytes -= size_of(&item);
                        permit.send(item);
                    }
                }
                () = out.closed() => return,
                message = self.channel.wait(), if !self.ended.over && self.queued_bytes < HELD_BYTES => self.take(message),
                _ = beat.tick(), if !self.ended.over && !self.queue.is_empty() => self.sip().await,
            }
        }
    }

    /// One message for the road, and a sign of life for the server.
    async fn sip(&mut self) {
        if self.queued_bytes >= HELD_BYTES && self.queued_bytes < SIPPED_BYTES {
            tokio::select! {
                biased;
                message = self.channel.wait() => self.take(message),
                () = std::future::ready(()) => {}
            }
        }
        // russh's queue is short and stands still with its loop: never wait for it.
        let _ = tokio::time::timeout(BEAT / 10, self.line.keep_alive()).await;
    }

    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => self.push(Ok(Event::Stdout(data))),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                self.greeting.hear(&data);
                self.push(Ok(Event::Stderr(data)));
            }
            Some(ChannelMsg::Eof) => self.ended.output = true,
            Some(ChannelMsg::ExitStatus { exit_status }) => self.ended.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => self.ended.signal = Some(format!("{signal_name:?}")),
            Some(ChannelMsg::Close) => {
                self.ended.output = true;
                self.ended.over = true;
            }
            None => self.ended.over = true,
            Some(_) => {}
        }
        // The status may come before the last output: only both together are an end.
        if self.ended.output && (self.ended.status.is_some() || self.ended.signal.is_some()) {
            self.ended.over = true;
        }
        if self.ended.over {
            let last = self.ended.verdict(&self.line);
            self.push(last);
        }
    }

    fn push(&mut self, item: Item) {
        self.queued_bytes += size_of(&item);
        self.queue.push_back(item);
    }
}

impl Ended {
    fn verdict(&self, line: &Line) -> Item {
        match (self.status, &self.signal) {
            (Some(status), _) if self.output => Ok(Event::Exited(status)),
            (_, Some(signal)) if self.output => Err(Failure::new(
                Step::Stream,
                FailureCode::SourceFailed,
                format!("the program on the server was ended by signal {signal}."),
            )),
            _ => Err(line.lost(Step::Stream)),
        }
    }
}
