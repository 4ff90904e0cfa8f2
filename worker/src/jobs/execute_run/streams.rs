//! The streams of a run, one after another: each is read, written everywhere at once and stored before the next begins,
//! so that a server is asked for one dump at a time and no destination keeps many objects open. What is stored is under
//! names that nobody knows until the manifest.

use super::attempt::Attempt;
use super::copies::Copies;
use super::lanes::{Lanes, StreamNames};
use super::prepare::Prepared;
use super::source::{self, Plan, Planned};
use super::stream::{self, Streamed};
use crate::faults::FaultPoint;
use chrono::{DateTime, Utc};
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::DecryptKey;
use holdfast_sources::SourceReport;
use std::sync::Arc;
use std::time::Duration;

/// A stream whose objects lie at every destination that is in, the same everywhere.
pub(super) struct Stored {
    pub(super) report: SourceReport,
    pub(super) original: Digest,
    pub(super) stored: Digest,
    /// Entries of a tree, tables of a database.
    pub(super) nfiles: u64,
    pub(super) objects: Vec<ManifestObject>,
    pub(super) index: Option<ManifestObject>,
    pub(super) key: DecryptKey,
    pub(super) index_key: Option<DecryptKey>,
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
    pub(super) transfer: Duration,
}

/// Reads and stores every stream of `plan`.
pub(super) async fn all(
    attempt: &Arc<Attempt>,
    prepared: &Prepared,
    plan: &mut Plan,
    copies: &mut Copies,
) -> Result<Vec<Stored>, Failure> {
    let count = plan.streams.len();
    attempt.journal.expect_streams(count);
    let mut all = Vec::with_capacity(count);
    for position in 0..count {
        let streamed = one(attempt, prepared, plan, (position, copies)).await?;
        attempt.reach(FaultPoint::SourceEnded).await;
        let Some(planned) = plan.streams.get(position) else { break };
        all.push(store(attempt, prepared, (planned, streamed), copies).await?);
    }
    Ok(all)
}

async fn one(
    attempt: &Arc<Attempt>,
    prepared: &Prepared,
    plan: &mut Plan,
    (position, copies): (usize, &mut Copies),
) -> Result<Streamed, Failure> {
    attempt.enter(RunStatus::Running, Step::Stream).await?;
    let Some(planned) = plan.streams.get(position) else {
        return Err(Failure::new(Step::Stream, FailureCode::Internal, "There is no such stream."));
    };
    let (is_tar, name) = (planned.is_tar(), planned.name.clone());
    let several = (plan.streams.len() > 1).then_some(position);
    let is_encrypted = prepared.encryption.is_encrypted();
    let names = StreamNames::of(&prepared.names(attempt.epoch), planned, several, is_encrypted);
    let lanes = Lanes::open(attempt, prepared, &names, copies).await?;
    match source::open(attempt, prepared, plan, position).await {
        Ok(reader) => {
            attempt.journal.reading((!is_tar).then_some(name));
            stream::stream(attempt, prepared, reader, (is_tar, lanes)).await
        }
        Err(failure) => {
            lanes.abort().await;
            Err(failure)
        }
    }
}

/// Gives the stream's objects their names at every destination that took everything.
async fn store(
    attempt: &Attempt,
    prepared: &Prepared,
    (planned, streamed): (&Planned, Streamed),
    copies: &mut Copies,
) -> Result<Stored, Failure> {
    let Streamed { encoded, report, mut body, mut index, places, started_at, finished_at, transfer } = streamed;
    if let Err(failure) = attempt.enter(RunStatus::Running, Step::FinishDestination).await {
        body.abort().await;
        if let Some(index) = index {
            index.abort().await;
        }
        return Err(failure);
    }
    if let Some(index) = &mut index {
        stream::agree(&mut body, index).await;
    }
    let index_made: Vec<Digest> = encoded.index.iter().map(|index| index.stored.clone()).collect();
    let index_out = async {
        match index {
            Some(index) => {
                index.commit(&index_made).await.into_iter().map(|made| made.map(|mut all| all.pop())).collect()
            }
            None => vec![Ok(None); places.len()],
        }
    };
    let (bodies, indexes) = tokio::join!(body.commit(&encoded.objects), index_out);
    let mut made = None;
    for ((body, index), at) in bodies.into_iter().zip(indexes).zip(places) {
        match body.and_then(|objects| index.map(|index| (objects, index))) {
            Ok(objects) => made = Some(objects),
            Err(failure) => copies.fail(attempt, prepared, at, failure),
        }
    }
    copies.any()?;
    let Some((objects, index)) = made else {
        return Err(Failure::new(Step::FinishDestination, FailureCode::Internal, "No destination holds the stream."));
    };
    // Counted when the dump began; the plan's number may be hours old.
    let tables = planned.database.as_ref().map(|facts| report.tables.unwrap_or(facts.tables));
    attempt.journal.add_tables(tables.unwrap_or(0));
    Ok(Stored {
        report,
        original: encoded.original,
        stored: encoded.stored,
        nfiles: tables.unwrap_or(encoded.nfiles),
        objects,
        index,
        key: encoded.key,
        index_key: encoded.index.map(|index| index.key),
        started_at,
        finished_at,
        transfer,
    })
}
