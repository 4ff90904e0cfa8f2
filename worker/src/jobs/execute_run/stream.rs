//! The bytes of one stream: source → encoder → destinations, all at once and in one pass, and the end of each. The
//! source is stopped *and looked at* on every way out that is not its own good end.

use super::attempt::Attempt;
use super::lanes::Lanes;
use super::prepare::Prepared;
use super::source::within;
use crate::faults::FaultPoint;
use chrono::{DateTime, Utc};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{EncodeInput, EncodeOptions, Encoded, Encoder, StreamFormat, Target, Written, encode, fan_out};
use holdfast_sources::{SourceReport, StreamReader};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A source that was told to stop is given up after so long; a run must be over within ten seconds of its cancellation.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A stream that ended well, not visible to anybody.
pub(super) struct Streamed {
    pub(super) encoded: Encoded,
    pub(super) report: SourceReport,
    pub(super) body: Written,
    pub(super) index: Option<Written>,
    /// Index into `Prepared::places` of each target.
    pub(super) places: Vec<usize>,
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
    pub(super) transfer: Duration,
}

/// Moves everything.
pub(super) async fn stream(
    attempt: &Attempt,
    prepared: &Prepared,
    reader: Box<dyn StreamReader>,
    (is_tar, lanes): (bool, Lanes),
) -> Result<Streamed, Failure> {
    let format = if is_tar { StreamFormat::Tar } else { StreamFormat::Opaque };
    let limit = attempt.context.config.destinations.object_limit_bytes;
    let options =
        EncodeOptions { object_limit_bytes: limit, ..EncodeOptions::new(format, prepared.encryption.clone()) };
    match encode(options) {
        Ok(encoder) => move_bytes(attempt, reader, encoder, lanes).await,
        Err(failure) => {
            lanes.abort().await;
            stop_source(attempt, reader).await;
            Err(failure)
        }
    }
}

async fn move_bytes(
    attempt: &Attempt,
    mut reader: Box<dyn StreamReader>,
    encoder: Encoder,
    lanes: Lanes,
) -> Result<Streamed, Failure> {
    let Encoder { input, body, index, outcome, meter } = encoder;
    attempt.journal.measure(meter, lanes.meters);
    let (started_at, begun) = (attempt.context.clock.now(), Instant::now());
    let limit = attempt.context.config.destinations.object_limit_bytes;
    // The bytes end when one of the three ends badly, whichever it is.
    let stop = attempt.lease.stopped().child_token();
    let (pumped, body, index) = tokio::join!(
        stop_others(&stop, pump(attempt, reader.as_mut(), input, &stop)),
        stop_others(&stop, fan_out(body, lanes.bodies, limit, &stop)),
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
            let places = lanes.places;
            Ok(Streamed { encoded, report, body, index, places, started_at, finished_at, transfer })
        }
        (ended, body, index, _, report) => {
            // Stop the source first: it may still be reading the server's disk.
            if report.is_none() {
                stop_source(attempt, reader).await;
            }
            for written in [body.ok(), index.ok().flatten()].into_iter().flatten() {
                written.abort().await;
            }
            Err(ended.unwrap_or_else(|| incomplete("The source ended without a report.")))
        }
    }
}

/// The source into the encoder. `finish` only after the source's own good end: nothing else may say that it came.
async fn pump(
    attempt: &Attempt,
    reader: &mut dyn StreamReader,
    mut input: EncodeInput,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let mut is_first = true;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(stopped()),
            next = within(attempt.stall(), Step::Stream, reader.next()) => next?,
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

/// The index into its one object a destination; none where the stream has no index.
async fn index_out(
    index: Option<tokio::sync::mpsc::Receiver<bytes::Bytes>>,
    targets: Vec<Target>,
    stop: &CancellationToken,
) -> Result<Option<Written>, Failure> {
    match index {
        Some(index) => fan_out(index, targets, u64::MAX, stop).await.map(Some),
        None if targets.is_empty() => Ok(None),
        None => Err(incomplete("The stream has no index.")),
    }
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
    index: &Result<Option<Written>, Failure>,
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
async fn stop_source(attempt: &Attempt, reader: Box<dyn StreamReader>) {
    let is_gone = tokio::time::timeout(STOP_WITHIN, reader.cancel()).await.unwrap_or(false);
    attempt.set_program_is_gone(Some(is_gone));
    attempt.say(match is_gone {
        true => "The program on the server was stopped and is gone.",
        false => "The program on the server was told to stop; it could not be confirmed that it is gone.",
    });
}

/// A destination that lost the body is not given the index, and the other way round.
pub(super) async fn agree(body: &mut Written, index: &mut Written) {
    let (bodies, indexes) = (body.failures(), index.failures());
    for (at, (of_body, of_index)) in bodies.into_iter().zip(indexes).enumerate() {
        match (of_body, of_index) {
            (Some(failure), None) => index.drop_target(at, failure).await,
            (None, Some(failure)) => body.drop_target(at, failure).await,
            _ => {}
        }
    }
}

fn stopped() -> Failure {
    Failure::new(Step::Stream, FailureCode::Cancelled, "Stopped.")
}

fn incomplete(detail: &str) -> Failure {
    Failure::new(Step::FinishSource, FailureCode::SourceIncomplete, detail)
}
