//! The bytes: source → encoder → destinations, all at once and in one pass, and the end of each. The source is stopped
//! *and looked at* on every way out that is not its own good end.

use super::attempt::Attempt;
use super::objects;
use super::prepare::{Place, Prepared};
use crate::faults::FaultPoint;
use chrono::{DateTime, Utc};
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{
    DecryptKey, EncodeInput, EncodeOptions, Encoded, Encoder, StreamFormat, Target, TargetMeter, Written, encode,
    fan_out,
};
use holdfast_remote::Session;
use holdfast_sources::SourceReport;
use holdfast_sources::files::{self, FilesReader};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A source that was told to stop is given up after so long; a run must be over within ten seconds of its cancellation.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A stream that ended well, not visible to anybody.
pub(super) struct Streamed {
    encoded: Encoded,
    report: SourceReport,
    body: Written,
    index: Written,
    /// Index into `Prepared::places` of each target.
    targets: Vec<usize>,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    transfer: Duration,
}

/// A stream whose objects are visible under names that nobody knows yet.
pub(super) struct Stored {
    pub(super) facts: Facts,
    pub(super) key: DecryptKey,
    pub(super) index_key: Option<DecryptKey>,
    /// One a place of `Prepared::places`.
    pub(super) copies: Vec<Result<CopyObjects, Failure>>,
}

/// What the manifest says of the stream.
pub(super) struct Facts {
    pub(super) report: SourceReport,
    pub(super) original: Digest,
    pub(super) stored: Digest,
    pub(super) nfiles: u64,
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
    pub(super) transfer: Duration,
}

/// The stream's objects at one destination.
#[derive(Clone)]
pub(super) struct CopyObjects {
    pub(super) body: ManifestObject,
    pub(super) index: Option<ManifestObject>,
}

/// Opens objects and source and moves everything.
pub(super) async fn stream(attempt: &Attempt, prepared: &Prepared, session: Session) -> Result<Streamed, Failure> {
    attempt.enter(RunStatus::Running, Step::Stream).await?;
    let lanes = open_lanes(attempt, prepared).await?;
    attempt.say("Starting tar on the server.");
    attempt.set_program_is_gone(None);
    let reader = match attempt.lease.guard(Step::Start, files::open(session, prepared.files()?)).await {
        Ok(reader) => reader,
        Err(failure) => {
            lanes.abort().await;
            return Err(failure);
        }
    };
    let options = EncodeOptions::new(StreamFormat::Tar, prepared.encryption.clone());
    match encode(options) {
        Ok(encoder) => move_bytes(attempt, reader, encoder, lanes).await,
        Err(failure) => {
            lanes.abort().await;
            stop_source(attempt, reader).await;
            Err(failure)
        }
    }
}

/// Makes the objects visible at every destination that took everything.
pub(super) async fn store(attempt: &Attempt, prepared: &Prepared, streamed: Streamed) -> Result<Stored, Failure> {
    let Streamed { encoded, report, mut body, mut index, targets, started_at, finished_at, transfer } = streamed;
    if let Err(failure) = attempt.enter(RunStatus::Running, Step::FinishDestination).await {
        body.abort().await;
        index.abort().await;
        return Err(failure);
    }
    agree(&mut body, &mut index).await;
    let index_made = encoded.index.as_ref().map(|index| index.stored.clone());
    let index_made = index_made.unwrap_or_else(|| Digest { size_bytes: 0, sha256: String::new() });
    let (bodies, indexes) = tokio::join!(body.commit(&encoded.stored), index.commit(&index_made));
    let mut copies: Vec<Result<CopyObjects, Failure>> = prepared.places.iter().map(not_written).collect();
    for ((body, index), place) in bodies.into_iter().zip(indexes).zip(targets) {
        let copy = body.and_then(|body| index.map(|index| CopyObjects { body, index: Some(index) }));
        if let Some(slot) = copies.get_mut(place) {
            *slot = copy;
        }
    }
    any_copy(&copies)?;
    let nfiles = encoded.nfiles;
    let facts =
        Facts { report, original: encoded.original, stored: encoded.stored, nfiles, started_at, finished_at, transfer };
    Ok(Stored { facts, key: encoded.key, index_key: encoded.index.map(|index| index.key), copies })
}

/// An error once no destination is left.
pub(super) fn any_copy<T>(copies: &[Result<T, Failure>]) -> Result<(), Failure> {
    if copies.iter().any(Result::is_ok) {
        return Ok(());
    }
    let none = || Failure::new(Step::FinishDestination, FailureCode::DestinationFailed, "No destination is left.");
    Err(copies.iter().find_map(|copy| copy.as_ref().err().cloned()).unwrap_or_else(none))
}

/// Open objects at every destination that gave some.
struct Lanes {
    bodies: Vec<Target>,
    indexes: Vec<Target>,
    places: Vec<usize>,
    meters: Vec<(i64, Arc<TargetMeter>)>,
}

impl Lanes {
    async fn abort(self) {
        for target in self.bodies.into_iter().chain(self.indexes) {
            target.sink.abort().await;
        }
    }
}

async fn open_lanes(attempt: &Attempt, prepared: &Prepared) -> Result<Lanes, Failure> {
    let names = prepared.names(attempt.epoch);
    let is_encrypted = prepared.encryption.is_encrypted();
    let (body, index) = (names.stream(None, "tar", is_encrypted), names.index(None, is_encrypted));
    let mut lanes = Lanes { bodies: Vec::new(), indexes: Vec::new(), places: Vec::new(), meters: Vec::new() };
    let mut last = None;
    for (at, place) in prepared.places.iter().enumerate() {
        let Ok(destination) = &place.destination else { continue };
        let sink = match objects::create(attempt, place, destination, &body).await {
            Ok(sink) => sink,
            Err(failure) => {
                last = Some(failure);
                continue;
            }
        };
        let index_sink = match objects::create(attempt, place, destination, &index).await {
            Ok(index_sink) => index_sink,
            Err(failure) => {
                sink.abort().await;
                last = Some(failure);
                continue;
            }
        };
        let meter = Arc::new(TargetMeter::default());
        lanes.meters.push((place.row.id, Arc::clone(&meter)));
        lanes.bodies.push(Target { sink, meter });
        lanes.indexes.push(Target { sink: index_sink, meter: Arc::default() });
        lanes.places.push(at);
    }
    if attempt.lease.stopped().is_cancelled() || lanes.bodies.is_empty() {
        lanes.abort().await;
        return Err(last.unwrap_or_else(|| attempt.lease.failure(Step::Stream)));
    }
    Ok(lanes)
}

async fn move_bytes(
    attempt: &Attempt,
    mut reader: FilesReader,
    encoder: Encoder,
    lanes: Lanes,
) -> Result<Streamed, Failure> {
    let Encoder { input, body, index, outcome, meter } = encoder;
    attempt.journal.measure(meter, lanes.meters);
    let (started_at, begun) = (attempt.context.clock.now(), Instant::now());
    // The bytes end when one of the three ends badly, whichever it is.
    let stop = attempt.lease.stopped().child_token();
    let (pumped, body, index) = tokio::join!(
        stop_others(&stop, pump(attempt, &mut reader, input, &stop)),
        stop_others(&stop, fan_out(body, lanes.bodies, &stop)),
        stop_others(&stop, index_out(index, lanes.indexes, &stop)),
    );
    let encoded = outcome.wait().await;
    let report = reader.report().cloned();
    let transfer = begun.elapsed();
    let ended = first_failure(attempt, &pumped, &body, &index, &encoded);
    match (ended, body, index, encoded, report) {
        (None, Ok(body), Ok(index), Ok(encoded), Some(report)) => {
            // Its exit status arrived.
            attempt.set_program_is_gone(Some(true));
            let finished_at = attempt.context.clock.now();
            let targets = lanes.places;
            Ok(Streamed { encoded, report, body, index, targets, started_at, finished_at, transfer })
        }
        (ended, body, index, _, report) => {
            // Stop the source first: it may still be reading the server's disk.
            if report.is_none() {
                stop_source(attempt, reader).await;
            }
            for written in [body, index].into_iter().flatten() {
                written.abort().await;
            }
            Err(ended.unwrap_or_else(|| incomplete("The source ended without a report.")))
        }
    }
}

/// The source into the encoder. `finish` only after the source's own good end: nothing else may say that it came.
async fn pump(
    attempt: &Attempt,
    reader: &mut FilesReader,
    mut input: EncodeInput,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut is_first = true;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(stopped()),
            next = reader.next() => next?,
        };
        let Some(bytes) = next else { break };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(stopped()),
            written = input.write(bytes) => written.map_err(|_| stopped())?,
        }
        if std::mem::take(&mut is_first) {
            attempt.reach(FaultPoint::Streaming).await;
        }
    }
    input.finish().await.map_err(|_| stopped())
}

async fn index_out(
    index: Option<tokio::sync::mpsc::Receiver<bytes::Bytes>>,
    targets: Vec<Target>,
    stop: &CancellationToken,
) -> Result<Written, Failure> {
    let index = index.ok_or_else(|| incomplete("The stream has no index."))?;
    fan_out(index, targets, stop).await
}

async fn stop_others<T>(
    stop: &CancellationToken,
    part: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let ended = part.await;
    if ended.is_err() {
        stop.cancel();
    }
    ended
}

/// The failure that made the others fail: the lease's, the source's, a destination's, the encoder's, in this order. One
/// that only says "stopped" is a consequence.
fn first_failure(
    attempt: &Attempt,
    pumped: &Result<(), Failure>,
    body: &Result<Written, Failure>,
    index: &Result<Written, Failure>,
    encoded: &Result<Encoded, Failure>,
) -> Option<Failure> {
    if attempt.lease.stopped().is_cancelled() {
        return Some(attempt.lease.failure(Step::Stream));
    }
    let all = [pumped.as_ref().err(), body.as_ref().err(), index.as_ref().err(), encoded.as_ref().err()];
    let causes = || all.into_iter().flatten();
    causes().find(|failure| failure.code != FailureCode::Cancelled).or_else(|| causes().next()).cloned()
}

/// Ends the source's program and looks whether it is gone.
async fn stop_source(attempt: &Attempt, reader: FilesReader) {
    let is_gone = tokio::time::timeout(STOP_WITHIN, reader.cancel()).await.unwrap_or(false);
    attempt.set_program_is_gone(Some(is_gone));
    attempt.say(match is_gone {
        true => "The program on the server was stopped and is gone.",
        false => "The program on the server was told to stop; it could not be confirmed that it is gone.",
    });
}

/// A destination that lost the body is not given the index, and the other way round.
async fn agree(body: &mut Written, index: &mut Written) {
    let (bodies, indexes) = (body.failures(), index.failures());
    for (at, (of_body, of_index)) in bodies.into_iter().zip(indexes).enumerate() {
        match (of_body, of_index) {
            (Some(failure), None) => index.drop_target(at, failure).await,
            (None, Some(failure)) => body.drop_target(at, failure).await,
            _ => {}
        }
    }
}

fn not_written(place: &Place) -> Result<CopyObjects, Failure> {
    let closed =
        || Failure::new(Step::Stream, FailureCode::DestinationFailed, "The destination did not open the object.");
    Err(place.destination.as_ref().err().cloned().unwrap_or_else(closed))
}

fn stopped() -> Failure {
    Failure::new(Step::Stream, FailureCode::Cancelled, "Stopped.")
}

fn incomplete(detail: &str) -> Failure {
    Failure::new(Step::FinishSource, FailureCode::SourceIncomplete, detail)
}
