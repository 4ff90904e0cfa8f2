//! The end that counts: the manifest last at every destination, then one transaction. If the connection breaks at its
//! commit the outcome is read, never assumed; until it is known nothing is removed.

use super::attempt::Attempt;
use super::copies::Copies;
use super::objects;
use super::prepare::Prepared;
use super::source::Plan;
use super::streams::Stored;
use crate::faults::FaultPoint;
use crate::secrets;
use bytes::Bytes;
use futures_util::future::join_all;
use holdfast_domain::manifest::{DatabaseFacts, MANIFEST_VERSION, Manifest, ManifestObject, ManifestStream};
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::digest::digest_of;
use holdfast_store::StoreError;
use holdfast_store::repositories::run_commit::{NewCopy, RunSuccess};
use holdfast_store::repositories::run_log::SaidLines;
use std::time::{Duration, Instant};

/// Copies are at V1 when they are committed.
const LEVEL: i16 = 1;

const DATABASE_PAUSE: Duration = Duration::from_millis(250);

/// Writes the manifests and ends the run well, or records its backup where scripts are left to run. How it ends.
pub(super) async fn commit(
    attempt: &Attempt,
    prepared: &Prepared,
    (plan, streams, warnings): (Plan, Vec<Stored>, Warnings),
    mut copies: Copies,
) -> Result<RunStatus, Failure> {
    attempt.enter(RunStatus::Verifying, Step::Commit).await?;
    let transfer: Duration = streams.iter().map(|stored| stored.transfer).sum();
    let manifest = manifest(attempt, prepared, (plan, streams, warnings))?;
    let objects = write_manifests(attempt, prepared, &manifest, &mut copies).await?;
    attempt.reach(FaultPoint::ManifestWritten).await;
    // The last look at a cancellation: what comes after it has one result, and that is the transaction's.
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Commit));
    }
    let transfer_ms = i64::try_from(transfer.as_millis()).unwrap_or(i64::MAX);
    record(attempt, &manifest, (new_copies(prepared, &copies, objects), transfer_ms)).await
}

fn manifest(
    attempt: &Attempt,
    prepared: &Prepared,
    (plan, streams, warnings): (Plan, Vec<Stored>, Warnings),
) -> Result<Manifest, Failure> {
    let (Some(first), Some(last)) = (streams.first(), streams.last()) else {
        return Err(internal("There is no stream."));
    };
    let (started_at, finished_at) = (first.started_at, last.finished_at);
    let mut tools = plan.tools;
    for stored in &streams {
        tools.extend(stored.report.tools.clone());
    }
    let streams = plan.streams.into_iter().zip(streams).map(|(planned, stored)| ManifestStream {
        name: planned.name,
        format: planned.format.to_owned(),
        exit_status: stored.report.exit_status,
        original: stored.original,
        stored: stored.stored,
        nfiles: stored.nfiles,
        objects: stored.objects,
        index: stored.index,
        database: planned.database.map(|facts| DatabaseFacts { tables: stored.nfiles, ..facts }),
    });
    Ok(Manifest {
        version: MANIFEST_VERSION,
        team_uuid: prepared.inputs.team.uuid,
        backup_task_id: prepared.inputs.task.id,
        task_label: prepared.inputs.task.label.clone(),
        backup_run_id: attempt.run_id.0,
        run_ulid: prepared.inputs.run.ulid.clone(),
        epoch: attempt.epoch,
        started_at,
        finished_at,
        origin: prepared.origin(),
        source: prepared.source.clone(),
        encryption: prepared.mode,
        recipients: prepared.recipients(),
        tools,
        streams: streams.collect(),
        warnings,
        holdfast: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// At every destination that is in, all at once; none for one that is out.
async fn write_manifests(
    attempt: &Attempt,
    prepared: &Prepared,
    manifest: &Manifest,
    copies: &mut Copies,
) -> Result<Vec<Option<ManifestObject>>, Failure> {
    let bytes = &sign(attempt, manifest).await?;
    let name = &prepared.names(attempt.epoch).manifest();
    let puts = prepared.places.iter().enumerate().map(|(at, place)| {
        let is_in = copies.is_in(at);
        async move {
            let Ok(destination) = &place.destination else { return Ok(None) };
            if !is_in {
                return Ok(None);
            }
            let put = async {
                let mut sink = objects::create(attempt, place.row.id, destination, name).await?;
                if let Err(failure) = sink.write(bytes.clone()).await {
                    sink.abort().await;
                    return Err(failure);
                }
                let object = sink.commit().await?;
                let same = object.digest == digest_of(bytes);
                if same { Ok(Some(object)) } else { Err(changed(name)) }
            };
            attempt.lease.guard(Step::Commit, put).await
        }
    });
    let mut written = Vec::with_capacity(prepared.places.len());
    for (at, object) in join_all(puts).await.into_iter().enumerate() {
        if let Err(failure) = &object {
            copies.fail(attempt, prepared, at, failure.clone());
        }
        written.push(object.ok().flatten());
    }
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Commit));
    }
    copies.any()?;
    Ok(written)
}

fn new_copies(prepared: &Prepared, copies: &Copies, objects: Vec<Option<ManifestObject>>) -> Vec<NewCopy> {
    let unwritten = || internal("No manifest was written.");
    let each = copies.failures().zip(objects).zip(&prepared.places);
    each.map(|((failure, object), place)| NewCopy {
        destination_id: place.row.id,
        manifest_object: match failure {
            Some(failure) => Err(failure.clone()),
            None => object.ok_or_else(unwritten),
        },
        verified_level: LEVEL,
    })
    .collect()
}

/// The key is opened for this one signature.
async fn sign(attempt: &Attempt, manifest: &Manifest) -> Result<Bytes, Failure> {
    let context = &attempt.context;
    let tx = context.store.for_team(&attempt.access).await.map_err(|e| secrets::store_failure(Step::Commit, &e))?;
    let key = secrets::mac_key(context, &tx, None).await?;
    let signed = holdfast_vault::manifest::sign(&key, manifest).map_err(|e| internal(&e.to_string()))?;
    serde_json::to_vec(&signed).map(Bytes::from).map_err(|e| internal(&e.to_string()))
}

async fn record(
    attempt: &Attempt,
    manifest: &Manifest,
    (copies, transfer_ms): (Vec<NewCopy>, i64),
) -> Result<RunStatus, Failure> {
    // A script's failure is the run's business and stands in no manifest.
    let mut warnings = manifest.warnings.clone();
    if let Some(scripts) = attempt.scripts.get() {
        warnings.append(&scripts.warnings());
    }
    let all_good = copies.iter().all(|copy| copy.manifest_object.is_ok());
    let status = match (all_good, warnings.is_empty()) {
        (false, _) => RunStatus::Partial,
        (true, false) => RunStatus::SucceededWithWarnings,
        (true, true) => RunStatus::Succeeded,
    };
    for warning in &manifest.warnings.kept {
        let path = warning.path.as_deref().map(|path| format!("{path}: ")).unwrap_or_default();
        attempt.say(format!("Warning: {path}{}", warning.message));
    }
    attempt.say(match status {
        RunStatus::Partial => "The backup is stored, but not at every destination.",
        RunStatus::SucceededWithWarnings => "The backup is stored and verified, with warnings.",
        _ => "The backup is stored and verified.",
    });
    // Its own: what an earlier attempt read is no part of this backup.
    let mut progress = attempt.journal.own_progress();
    progress.current_file = None;
    let success = RunSuccess { status, manifest, warnings: &warnings, progress: &progress, transfer_ms, copies };
    let _writing = attempt.journal.writing().await;
    let mut lines = attempt.journal.take_lines();
    let committed = commit_or_know(attempt, &success, &lines).await;
    if matches!(committed, Ok(true)) {
        // What is shown from now on is this attempt's, whatever an earlier one read.
        attempt.journal.go_on_from(Progress::default());
    } else {
        // All but the last did happen.
        lines.lines.pop();
        attempt.journal.put_back(lines);
    }
    if committed? { Ok(status) } else { Err(attempt.lease.failure(Step::Commit)) }
}

/// Tries until the transaction is done, or it is known that it was not and cannot be. A refusal is not believed before
/// the row was read: it may be our own commit, whose answer was lost, that refuses the second try.
async fn commit_or_know(attempt: &Attempt, success: &RunSuccess<'_>, lines: &SaidLines) -> Result<bool, Failure> {
    let begun = Instant::now();
    loop {
        let tried = try_commit(attempt, success, lines).await;
        if let Ok(true) = tried {
            return Ok(true);
        }
        match (is_committed(attempt).await, tried) {
            (Ok(true), _) => return Ok(true),
            (Ok(false), Ok(_)) => return Ok(false),
            (Ok(false), Err(error @ (StoreError::Inconsistent { .. } | StoreError::Duplicate(_)))) => {
                return Err(secrets::store_failure(Step::Commit, &error));
            }
            (Ok(false), Err(_)) if attempt.lease.stopped().is_cancelled() => return Ok(false),
            (known, tried) => tracing::warn!(run = %attempt.run_id, ?known, ?tried, "not committed yet"),
        }
        if begun.elapsed() > attempt.context.config.worker.lease * 2 {
            // Nobody may remove anything now: the reconciler decides when the database is back.
            attempt.take_noted();
            return Err(Failure::new(Step::Commit, FailureCode::Internal, "The database could not be used."));
        }
        tokio::time::sleep(DATABASE_PAUSE).await;
    }
}

async fn try_commit(attempt: &Attempt, success: &RunSuccess<'_>, lines: &SaidLines) -> Result<bool, StoreError> {
    let tx = attempt.context.store.for_team(&attempt.access).await?;
    let is_end = !attempt.has_success_scripts();
    tx.append_said_lines(attempt.run_id, attempt.epoch, lines, is_end).await?;
    let run = tx.run_execution(attempt.run_id, attempt.epoch);
    let is_held = match is_end {
        true => run.succeed(success).await?,
        false => run.commit_backup(success).await?,
    };
    if !is_held {
        return Ok(false);
    }
    tx.commit().await?;
    Ok(true)
}

async fn is_committed(attempt: &Attempt) -> Result<bool, StoreError> {
    let tx = attempt.context.store.for_team(&attempt.access).await?;
    tx.run_execution(attempt.run_id, attempt.epoch).is_committed().await
}

fn changed(name: &str) -> Failure {
    let detail = format!("The destination holds other bytes under {name:?} than were written.");
    Failure::new(Step::Commit, FailureCode::VerifyFailed, detail)
}

fn internal(detail: &str) -> Failure {
    Failure::new(Step::Commit, FailureCode::Internal, detail)
}
