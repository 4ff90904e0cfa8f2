//! One reader: first what it missed, in parts that are read as it takes them, then what comes. Nothing is held for it but the
//! part that it is at.

use super::events::{Block, Closed, heartbeat};
use super::hub::Subscription;
use super::places::Place;
use super::{Key, Live, row};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

/// Between two signs of life while nothing happens: proxies close what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What comes next.
enum Step {
    /// What the row is now.
    Begin,
    /// The lines it missed.
    CatchUp,
    /// What changes from now on.
    Follow,
    Done,
}

/// See the module.
pub(super) struct Reader {
    live: Live,
    key: Key,
    place: Place,
    /// The last line that was sent.
    line: i32,
    subscription: Subscription,
    step: Step,
}

impl Reader {
    /// A reader that has the lines up to `line`.
    pub(super) fn new(live: Live, key: Key, place: Place, (line, subscription): (i32, Subscription)) -> Self {
        // A place that the log does not have is not one of this log.
        let line = if line > subscription.to { 0 } else { line };
        Self { live, key, place, line, subscription, step: Step::Begin }
    }

    /// Its events, as they are to be written.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        unfold(self, |mut reader| async move { reader.next().await.map(|bytes| (Ok(bytes), reader)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !matches!(self.step, Step::Done) && self.place.ended.is_cancelled() {
                return Some(self.close(Closed::Unauthenticated));
            }
            let bytes = match self.step {
                Step::Begin => Some(self.begin()),
                Step::CatchUp => self.catch_up().await,
                Step::Follow => self.follow().await,
                Step::Done => return None,
            };
            if bytes.is_some() {
                return bytes;
            }
        }
    }

    fn begin(&mut self) -> Bytes {
        let mut block = Block::default();
        block.retry();
        block.progress(self.line, &self.subscription.head);
        block.state(self.line, &self.subscription.head);
        self.step = Step::CatchUp;
        block.into_bytes()
    }

    async fn catch_up(&mut self) -> Option<Bytes> {
        if self.line < self.subscription.to {
            match row::lines(&self.live.store, self.key, self.line).await {
                Ok(mut lines) => {
                    // Later ones come with the updates.
                    lines.retain(|line| line.number <= self.subscription.to);
                    // None: the log was deleted meanwhile.
                    self.line = lines.last().map_or(self.subscription.to, |line| line.number);
                    let mut block = Block::default();
                    block.lines(&lines);
                    return (!block.is_empty()).then(|| block.into_bytes());
                }
                Err(error) => {
                    tracing::warn!(?error, "a log could not be read");
                    return Some(self.close(Closed::Unavailable));
                }
            }
        }
        if !self.subscription.head.is_over {
            self.step = Step::Follow;
            return None;
        }
        self.step = Step::Done;
        let mut block = Block::default();
        block.end(self.line, &self.subscription.head);
        Some(block.into_bytes())
    }

    async fn follow(&mut self) -> Option<Bytes> {
        let silent_until = Instant::now() + HEARTBEAT;
        tokio::select! {
            biased;
            () = self.place.ended.cancelled() => Some(self.close(Closed::Unauthenticated)),
            () = self.live.closing.cancelled() => Some(self.close(Closed::Shutdown)),
            update = self.subscription.updates.recv() => Some(match update {
                Ok(update) => {
                    self.line = update.to;
                    if update.is_over {
                        self.step = Step::Done;
                    }
                    update.block.clone()
                }
                Err(RecvError::Lagged(_)) => self.close(Closed::TooSlow),
                Err(RecvError::Closed) => self.close(Closed::Unavailable),
            }),
            () = sleep_until(silent_until) => Some(heartbeat()),
        }
    }

    fn close(&mut self, why: Closed) -> Bytes {
        self.step = Step::Done;
        let mut block = Block::default();
        block.closed(self.line, why);
        block.into_bytes()
    }
}
