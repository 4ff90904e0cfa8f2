//! The same bytes to several destinations, at the pace of the slowest.
//!
//! One that fails is aborted, remembered and left out; the others go on. Nothing is committed by the end of the bytes:
//! that takes [`Written::commit`] with the digest that only a finished stream has.

use crate::sink::Sink;
use bytes::Bytes;
use futures_util::future::join_all;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::{Failure, FailureCode, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One destination of a stream.
pub struct Target {
    /// Where the bytes go.
    pub sink: Box<dyn Sink>,
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
    size_bytes: u64,
}

struct Lane {
    sink: Result<Box<dyn Sink>, Failure>,
    meter: Arc<TargetMeter>,
}

/// Writes `body` to every target until it ends, and until they hold it durably.
///
/// # Errors
/// `Cancelled`, or the first failure once every target has failed. Everything is aborted then, and the body dropped, so
/// that whoever makes it stops.
pub async fn fan_out(
    mut body: mpsc::Receiver<Bytes>,
    targets: Vec<Target>,
    cancel: &CancellationToken,
) -> Result<Written, Failure> {
    let lanes = targets.into_iter().map(|t| Lane { sink: Ok(t.sink), meter: t.meter }).collect();
    let mut written = Written { lanes, size_bytes: 0 };
    let cancelled = || Failure::new(Step::Stream, FailureCode::Cancelled, "The run was cancelled.");
    loop {
        let received = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            bytes = body.recv() => Ok(bytes),
        };
        let ended = match received {
            Ok(Some(bytes)) => tokio::select! {
                biased;
                () = cancel.cancelled() => Err(cancelled()),
                () = written.write(&bytes) => written.any_left(),
            },
            Ok(None) => {
                let settled = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Err(cancelled()),
                    () = written.settle() => written.any_left(),
                };
                match settled {
                    Ok(()) => return Ok(written),
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = ended {
            drop(body);
            written.abort().await;
            return Err(failure);
        }
    }
}

impl Written {
    /// Why each target failed, in the order given; none for those that hold the bytes.
    #[must_use]
    pub fn failures(&self) -> Vec<Option<Failure>> {
        self.lanes.iter().map(|lane| lane.sink.as_ref().err().cloned()).collect()
    }

    /// Aborts one target that failed elsewhere (its index did, for example).
    pub async fn drop_target(&mut self, at: usize, why: Failure) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.fail(why).await;
        }
    }

    /// Makes the object visible everywhere, if it is the one that `made` describes. In the order of the targets.
    pub async fn commit(self, made: &Digest) -> Vec<Result<ManifestObject, Failure>> {
        let is_whole = self.size_bytes == made.size_bytes;
        join_all(self.lanes.into_iter().map(|lane| lane.commit(is_whole, made))).await
    }

    /// Removes everything.
    pub async fn abort(self) {
        join_all(self.lanes.into_iter().map(Lane::abort)).await;
    }

    async fn write(&mut self, bytes: &Bytes) {
        self.size_bytes += bytes.len() as u64;
        join_all(self.lanes.iter_mut().map(|lane| lane.write(bytes.clone()))).await;
    }

    async fn settle(&mut self) {
        join_all(self.lanes.iter_mut().map(Lane::settle)).await;
    }

    fn any_left(&self) -> Result<(), Failure> {
        if self.lanes.iter().any(|lane| lane.sink.is_ok()) {
            return Ok(());
        }
        let none = || Failure::new(Step::Stream, FailureCode::InvalidConfig, "There is no destination.");
        Err(self.lanes.iter().find_map(|lane| lane.sink.as_ref().err().cloned()).unwrap_or_else(none))
    }
}

impl Lane {
    async fn write(&mut self, bytes: Bytes) {
        let Ok(sink) = &mut self.sink else { return };
        let len = bytes.len() as u64;
        match sink.write(bytes).await {
            Ok(()) => {
                self.meter.stored.fetch_add(len, Ordering::Relaxed);
            }
            Err(failure) => self.fail(failure).await,
        }
    }

    async fn settle(&mut self) {
        let Ok(sink) = &mut self.sink else { return };
        if let Err(failure) = sink.settle().await {
            self.fail(failure).await;
        }
    }

    async fn fail(&mut self, why: Failure) {
        self.meter.set(TargetState::Failed);
        if let Ok(sink) = std::mem::replace(&mut self.sink, Err(why)) {
            sink.abort().await;
        }
    }

    async fn commit(mut self, is_whole: bool, made: &Digest) -> Result<ManifestObject, Failure> {
        if !is_whole {
            let detail = "The destination was given another number of bytes than were made.";
            self.fail(Failure::new(Step::FinishDestination, FailureCode::VerifyFailed, detail)).await;
        }
        let sink = self.sink?;
        self.meter.set(TargetState::Verifying);
        let committed = sink.commit().await.and_then(|object| {
            if object.digest == *made {
                return Ok(object);
            }
            let detail = format!("The destination holds other bytes under {:?} than were made.", object.name);
            Err(Failure::new(Step::FinishDestination, FailureCode::VerifyFailed, detail))
        });
        self.meter.set(if committed.is_ok() { TargetState::Committed } else { TargetState::Failed });
        committed
    }

    async fn abort(mut self) {
        let why = Failure::new(Step::Stream, FailureCode::Cancelled, "Aborted.");
        if self.sink.is_ok() {
            self.fail(why).await;
        }
    }
}
