//! One destination's part of a fan-out: the objects of the stream, one after another, all of them without a name until
//! the commit. A lane that failed takes nothing more and never comes back.

use super::{TargetMeter, TargetState};
use crate::sink::{NextObject, Sink};
use bytes::Bytes;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::{Failure, FailureCode, Step};
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) struct Lane {
    /// The stream's objects so far: all full but the last.
    sinks: Result<Vec<Box<dyn Sink>>, Failure>,
    next: Option<Box<dyn NextObject>>,
    meter: Arc<TargetMeter>,
}

impl Lane {
    pub(super) fn of(target: super::Target) -> Self {
        Self { sinks: Ok(vec![target.sink]), next: target.next, meter: target.meter }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.sinks.as_ref().err()
    }

    pub(super) async fn write(&mut self, bytes: Bytes) {
        let Some(sink) = self.last() else { return };
        let len = bytes.len() as u64;
        match sink.write(bytes).await {
            Ok(()) => {
                self.meter.stored.fetch_add(len, Ordering::Relaxed);
            }
            Err(failure) => self.fail(failure).await,
        }
    }

    /// The last object is full: it is made durable, so that it holds no buffers any more, and the next one opened.
    pub(super) async fn next_object(&mut self) {
        self.settle().await;
        let Ok(sinks) = &mut self.sinks else { return };
        let cannot = || Failure::new(Step::Stream, FailureCode::Internal, "The stream cannot go on in a next object.");
        let opened = match &self.next {
            Some(next) => next.open(sinks.len()).await,
            None => Err(cannot()),
        };
        match opened {
            Ok(sink) => sinks.push(sink),
            Err(failure) => self.fail(failure).await,
        }
    }

    pub(super) async fn settle(&mut self) {
        let Some(sink) = self.last() else { return };
        if let Err(failure) = sink.settle().await {
            self.fail(failure).await;
        }
    }

    pub(super) async fn fail(&mut self, why: Failure) {
        self.meter.set(TargetState::Failed);
        if let Ok(sinks) = std::mem::replace(&mut self.sinks, Err(why)) {
            abort(sinks).await;
        }
    }

    pub(super) async fn commit(mut self, is_whole: bool, made: &[Digest]) -> Result<Vec<ManifestObject>, Failure> {
        let has_all = self.sinks.as_ref().is_ok_and(|sinks| sinks.len() == made.len());
        if self.sinks.is_ok() && !(is_whole && has_all) {
            let detail = "The destination was given another number of bytes than were made.";
            self.fail(Failure::new(Step::FinishDestination, FailureCode::VerifyFailed, detail)).await;
        }
        self.meter.set(if self.sinks.is_ok() { TargetState::Verifying } else { TargetState::Failed });
        let committed = commit(self.sinks?, made).await;
        self.meter.set(if committed.is_ok() { TargetState::Committed } else { TargetState::Failed });
        committed
    }

    pub(super) async fn abort(mut self) {
        if self.sinks.is_ok() {
            self.fail(Failure::new(Step::Stream, FailureCode::Cancelled, "Aborted.")).await;
        }
    }

    fn last(&mut self) -> Option<&mut Box<dyn Sink>> {
        self.sinks.as_mut().ok().and_then(|sinks| sinks.last_mut())
    }
}

/// In order; after the first that fails the rest is aborted. Those before it have their names then, and are removed by
/// whoever recorded them.
async fn commit(sinks: Vec<Box<dyn Sink>>, made: &[Digest]) -> Result<Vec<ManifestObject>, Failure> {
    let mut objects = Vec::with_capacity(sinks.len());
    let mut rest = sinks.into_iter();
    for digest in made {
        let Some(sink) = rest.next() else { break };
        let committed = sink.commit().await.and_then(|object| {
            if object.digest == *digest {
                return Ok(object);
            }
            let detail = format!("The destination holds other bytes under {:?} than were made.", object.name);
            Err(Failure::new(Step::FinishDestination, FailureCode::VerifyFailed, detail))
        });
        match committed {
            Ok(object) => objects.push(object),
            Err(failure) => {
                abort(rest).await;
                return Err(failure);
            }
        }
    }
    Ok(objects)
}

async fn abort(sinks: impl IntoIterator<Item = Box<dyn Sink>>) {
    for sink in sinks {
        sink.abort().await;
    }
}
