//! The same bytes to several destinations, at the pace of the slowest.
//!
//! One that fails is aborted, remembered and left out; the others go on. Nothing is committed by the end of the bytes:
//! that takes [`Written::commit`] with the digests that only a finished stream has. A stream that is larger than one
//! object may be goes on in a next one, at the same byte everywhere, so that one manifest fits every copy.

mod lane;

use crate::sink::{NextObject, Sink};
use bytes::Bytes;
use futures_util::future::join_all;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::{Failure, FailureCode, Step};
use lane::Lane;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One destination of a stream.
pub struct Target {
    /// Where the bytes go: the stream's first object.
    pub sink: Box<dyn Sink>,
    /// Where they go on; none = the stream may be one object only.
    pub next: Option<Box<dyn NextObject>>,
    /// How far it is.
    pub meter: Arc<TargetMeter>,
}

/// How far one destination is.
#[derive(Default)]
pub struct TargetMeter {
    stored: AtomicU64,
    state: AtomicU8,
}

/// What one destination is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Taking bytes.
    Writing,
    /// Making them durable, and reading them back.
    Verifying,
    /// Done.
    Committed,
    /// Out.
    Failed,
}

impl TargetMeter {
    /// Bytes it took.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> TargetState {
        match self.state.load(Ordering::Relaxed) {
            0 => TargetState::Writing,
            1 => TargetState::Verifying,
            2 => TargetState::Committed,
            _ => TargetState::Failed,
        }
    }

    fn set(&self, state: TargetState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

impl TargetState {
    /// As in `progress.destinations[].state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writing => "writing",
            Self::Verifying => "verifying",
            Self::Committed => "committed",
            Self::Failed => "failed",
        }
    }
}

/// Where the bytes are now, not yet visible to anybody.
#[must_use = "uncommitted objects are residue: commit or abort"]
pub struct Written {
    lanes: Vec<Lane>,
    object_limit_bytes: u64,
    /// Of the object that is being written.
    object_bytes: u64,
    size_bytes: u64,
}

/// Writes `body` to every target until it ends, and until they hold it durably. No object gets more than
/// `object_limit_bytes`.
///
/// # Errors
/// `Cancelled`, or the first failure once every target has failed. Everything is aborted then, and the body dropped, so
/// that whoever makes it stops.
pub async fn fan_out(
    mut body: mpsc::Receiver<Bytes>,
    targets: Vec<Target>,
    object_limit_bytes: u64,
    cancel: &CancellationToken,
) -> Result<Written, Failure> {
    let lanes = targets.into_iter().map(Lane::of).collect();
    let limit = object_limit_bytes.max(1);
    let mut written = Written { lanes, object_limit_bytes: limit, object_bytes: 0, size_bytes: 0 };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            Err(Failure::new(Step::Stream, FailureCode::Cancelled, "The run was cancelled."))
        }
        ended = written.take(&mut body) => ended,
    };
    if let Err(failure) = ended {
        drop(body);
        written.abort().await;
        return Err(failure);
    }
    Ok(written)
}

impl Written {
    /// Why each target failed, in the order given; none for those that hold the bytes.
    #[must_use]
    pub fn failures(&self) -> Vec<Option<Failure>> {
        self.lanes.iter().map(|lane| lane.failure().cloned()).collect()
    }

    /// Aborts one target that failed elsewhere (its index did, for example).
    pub async fn drop_target(&mut self, at: usize, why: Failure) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.fail(why).await;
        }
    }

    /// Makes the objects visible everywhere, if they are the ones that `made` describes, in order. In the order of the
    /// targets. Of a target that fails some may have got their names: who recorded them removes them.
    pub async fn commit(self, made: &[Digest]) -> Vec<Result<Vec<ManifestObject>, Failure>> {
        let is_whole = self.size_bytes == made.iter().map(|digest| digest.size_bytes).sum::<u64>();
        join_all(self.lanes.into_iter().map(|lane| lane.commit(is_whole, made))).await
    }

    /// Removes everything.
    pub async fn abort(self) {
        join_all(self.lanes.into_iter().map(Lane::abort)).await;
    }

    async fn take(&mut self, body: &mut mpsc::Receiver<Bytes>) -> Result<(), Failure> {
        while let Some(bytes) = body.recv().await {
            self.write(bytes).await;
            self.any_left()?;
        }
        join_all(self.lanes.iter_mut().map(Lane::settle)).await;
        self.any_left()
    }

    async fn write(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            if self.object_bytes == self.object_limit_bytes {
                join_all(self.lanes.iter_mut().map(Lane::next_object)).await;
                self.object_bytes = 0;
            }
            let room = usize::try_from(self.object_limit_bytes - self.object_bytes).unwrap_or(usize::MAX);
            let piece = bytes.split_to(room.min(bytes.len()));
            self.object_bytes += piece.len() as u64;
            self.size_bytes += piece.len() as u64;
            join_all(self.lanes.iter_mut().map(|lane| lane.write(piece.clone()))).await;
        }
    }

    fn any_left(&self) -> Result<(), Failure> {
        if self.lanes.iter().any(|lane| lane.failure().is_none()) {
            return Ok(());
        }
        let none = || Failure::new(Step::Stream, FailureCode::InvalidConfig, "There is no destination.");
        Err(self.lanes.iter().find_map(Lane::failure).cloned().unwrap_or_else(none))
    }
}
