//! The end that counts: the manifest last at every destination, then one transaction. If the connection breaks at its
//! commit the outcome is read, never assumed; until it is known nothing is removed.

use super::attempt::Attempt;
use super::objects;
use super::prepare::Prepared;
use super::stream::{CopyObjects, any_copy};
use super::verify::Verified;
use crate::faults::FaultPoint;
use crate::secrets;
use bytes::Bytes;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::manifest::{MANIFEST_VERSION, Manifest, ManifestObject, ManifestStream};
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::digest::digest_of;
use holdfast_store::StoreError;
use holdfast_store::repositories::run_commit::{NewCopy, RunSuccess};
use std::time::{Duration, Instant};

/// Copies are at V1 when they are committed.
const LEVEL: i16 = 1;

const DATABASE_PAUSE: Duration = Duration::from_millis(250);

/// Writes the manifests and ends the run well.
pub(super) async fn commit(attempt: &Attempt, prepared: &Prepared, verified: Verified) -> Result<(), Failure> {
    attempt.enter(RunStatus::Verifying, Step::Commit).await?;
    let Verified { facts, warnings, copies } = verified;
    let objects = copies.iter().find_map(|copy| copy.as_ref().ok()).cloned();
    let objects = objects.ok_or_else(|| internal("No copy is left."))?;
    let stream = ManifestStream {
        name: "tree".to_owned(),
        format: "tar".to_owned(),
        exit_status: facts.report.exit_status,
        original: facts.original,
        stored: facts.stored,
        nfiles: facts.nfiles,
        objects: vec![objects.body],
        index: objects.index,
        database: None,
    };
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        team_uuid: prepared.inputs.team.uuid,
        backup_task_id: prepared.inputs.task.id,
        task_label: prepared.inputs.task.label.clone(),
        backup_run_id: attempt.run_id.0,
        run_ulid: prepared.inputs.run.ulid.clone(),
        epoch: attempt.epoch,
        started_at: facts.started_at,
        finished_at: facts.finished_at,
        origin: prepared.origin(),
        source: prepared.source.clone(),
        encryption: prepared.mode,
        recipients: prepared.recipients(),
        tools: facts.report.tools,
        streams: vec![stream],
        warnings,
        holdfast: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let manifests = write_manifests(attempt, prepared, &manifest, copies).await?;
    attempt.reach(FaultPoint::ManifestWritten).await;
    // The last look at a cancellation: what comes after it has one result, and that is the transaction's.
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Commit));
    }
    let transfer_ms = i64::try_from(facts.transfer.as_millis()).unwrap_or(i64::MAX);
    record(attempt, prepared, &manifest, (manifests, transfer_ms)).await
}

async fn write_manifests(
    attempt: &Attempt,
    prepared: &Prepared,
    manifest: &Manifest,
    copies: Vec<Result<CopyObjects, Failure>>,
) -> Result<Vec<Result<ManifestObject, Failure>>, Failure> {
    let bytes = sign(attempt, manifest).await?;
    let name = prepared.names(attempt.epoch).manifest();
    let mut written = Vec::with_capacity(copies.len());
    for (copy, place) in copies.into_iter().zip(&prepared.places) {
        let object = match (copy, &place.destination) {
            (Ok(_), Ok(destination)) => {
                let put = async {
                    let mut sink = objects::create(attempt, place, destination, &name).await?;
                    if let Err(failure) = sink.write(bytes.clone()).await {
                        sink.abort().await;
                        return Err(failure);
                    }
                    let object = sink.commit().await?;
                    let same = object.digest == digest_of(&bytes);
                    if same { Ok(object) } else { Err(changed(&name)) }
                };
                attempt.lease.guard(Step::Commit, put).await
            }
            (Err(failure), _) => Err(failure),
            (Ok(_), Err(failure)) => Err(failure.clone()),
        };
        written.push(object);
    }
    if attempt.lease.stopped().is_cancelled() {
        return Err(attempt.lease.failure(Step::Commit));
    }
    any_copy(&written)?;
    Ok(written)
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
    prepared: &Prepared,
    manifest: &Manifest,
    (manifests, transfer_ms): (Vec<Result<ManifestObject, Failure>>, i64),
) -> Result<(), Failure> {
    let all_good = manifests.iter().all(Result::is_ok);
    let status = match (all_good, manifest.warnings.is_empty()) {
        (false, _) => RunStatus::Partial,
        (true, false) => RunStatus::SucceededWithWarnings,
        (true, true) => RunStatus::Succeeded,
    };
    for (failed, place) in manifests.iter().zip(&prepared.places) {
        if let Err(failure) = failed {
            attempt.say(format!("Nothing was stored at {:?}: {failure}", place.row.label));
        }
    }
    for warning in &manifest.warnings.kept {
        let path = warning.path.as_deref().map(|path| format!("{path}: ")).unwrap_or_default();
        attempt.say(format!("Warning: {path}{}", warning.message));
    }
    attempt.say(match status {
        RunStatus::Partial => "The backup is stored, but not at every destination.",
        RunStatus::SucceededWithWarnings => "The backup is stored and verified, with warnings.",
        _ => "The backup is stored and verified.",
    });
    let mut progress = attempt.journal.progress();
    progress.current_file = None;
    let copies = manifests
        .into_iter()
        .zip(&prepared.places)
        .map(|(object, place)| NewCopy { destination_id: place.row.id, manifest_object: object, verified_level: LEVEL })
        .collect();
    let success =
        RunSuccess { status, manifest, warnings: &manifest.warnings, progress: &progress, transfer_ms, copies };
    let lines = attempt.journal.take_lines();
    let committed = commit_or_know(attempt, &success, &lines, newly_bound(attempt, prepared).as_ref()).await?;
    if committed { Ok(()) } else { Err(attempt.lease.failure(Step::Commit)) }
}

/// Destinations that are from now on known to lie in this worker's store.
struct NewlyBound {
    store_id: String,
    destinations: Vec<BackupDestinationId>,
}

fn newly_bound(attempt: &Attempt, prepared: &Prepared) -> Option<NewlyBound> {
    let store_id = attempt.context.local_root.as_ref()?.store_id().to_string();
    let mut destinations = Vec::new();
    for place in &prepared.places {
        if place.destination.is_ok() && place.row.store_id.is_none() {
            destinations.push(BackupDestinationId(place.row.id));
        }
    }
    Some(NewlyBound { store_id, destinations })
}

/// Tries until the transaction is done, or it is known that it was not and cannot be. A refusal is not believed before
/// the row was read: it may be our own commit, whose answer was lost, that refuses the second try.
async fn commit_or_know(
    attempt: &Attempt,
    success: &RunSuccess<'_>,
    lines: &[String],
    bound: Option<&NewlyBound>,
) -> Result<bool, Failure> {
    let begun = Instant::now();
    loop {
        let tried = try_commit(attempt, success, lines, bound).await;
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

async fn try_commit(
    attempt: &Attempt,
    success: &RunSuccess<'_>,
    lines: &[String],
    bound: Option<&NewlyBound>,
) -> Result<bool, StoreError> {
    let tx = attempt.context.store.for_team(&attempt.access).await?;
    tx.append_run_lines(attempt.run_id, attempt.epoch, lines).await?;
    if !tx.run_execution(attempt.run_id, attempt.epoch).succeed(success).await? {
        return Ok(false);
    }
    if let Some(bound) = bound {
        for id in &bound.destinations {
            tx.sealed().bind_store(*id, &bound.store_id).await?;
        }
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
