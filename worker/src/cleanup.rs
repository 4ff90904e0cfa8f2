//! Removing what ended attempts left at destinations, by record. Each record is held while its object is removed, and the
//! removal is given up before that time is over: a copy that is made later has the same names, and must not be hit by a
//! removal that somebody began before.

use crate::context::WorkerContext;
use crate::places;
use holdfast_destinations::Destination;
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupRunId};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::{Access, StoreError};
use std::time::{Duration, Instant};

/// How long a record is held while its object is removed.
const HELD_SECS: f64 = 180.0;
/// How long one removal may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(120);
/// A removal that failed sooner was refused; one that took longer may still go on behind a time limit, and keeps its record.
const NO_TIME_LIMIT_IS_SHORTER: Duration = Duration::from_secs(5);
/// Until a refused removal is tried again.
const TRIED_AGAIN_AFTER_SECS: f64 = 15.0;
/// How long all removals of a failed copy may take; the record is held as long as for one.
const COPY_REMOVAL_LIMIT: Duration = Duration::from_secs(120);

/// Deletes the recorded objects of `run` that no attempt can commit any more; returns how many. What lies in a store
/// that this worker does not hold stays recorded for a worker that does.
///
/// # Errors
/// The database failed.
pub async fn remove_leftovers(context: &WorkerContext, access: &Access, run: BackupRunId) -> Result<usize, StoreError> {
    let tx = context.store.for_team(access).await?;
    let leftovers = tx.run_leftovers(run).await?;
    if leftovers.is_empty() {
        return Ok(0);
    }
    let team = tx.sealed().team().await?;
    let mut known = Vec::new();
    for object in leftovers {
        let row = tx.sealed().destination(BackupDestinationId(object.backup_destination_id)).await?;
        known.extend(row.map(|row| (object, row)));
    }
    // No transaction is open while a destination is spoken to.
    tx.commit().await?;
    let mut removed = 0;
    for (object, row) in known {
        let Ok(destination) = places::open_destination(context, team.uuid, &row) else { continue };
        let tx = context.store.for_team(access).await?;
        let is_ours = tx.take_leftover(object.id, HELD_SECS).await?;
        tx.commit().await?;
        if !is_ours {
            continue;
        }
        let began = Instant::now();
        if let Err(failure) = remove(destination.as_ref(), &object.name).await {
            tracing::warn!(%run, name = object.name, "an unfinished object is still there: {failure}");
            if began.elapsed() < NO_TIME_LIMIT_IS_SHORTER {
                give_back(context, access, object.id).await?;
            }
            continue;
        }
        let tx = context.store.for_team(access).await?;
        tx.mark_object_removed(object.id).await?;
        tx.commit().await?;
        removed += 1;
    }
    Ok(removed)
}

/// Deletes what a failed copy left, if nobody else does and no new attempt has begun. Whether nothing is left of it.
///
/// # Errors
/// The database failed.
pub async fn remove_failed_copy(
    context: &WorkerContext,
    access: &Access,
    copy: BackupCopyId,
) -> Result<bool, StoreError> {
    let tx = context.store.for_team(access).await?;
    let team = tx.sealed().team().await?;
    let Some(row) = tx.destination_of_copy(copy).await? else { return Ok(false) };
    // A store that is not here is somebody else's business: nothing is held for it.
    let Ok(destination) = places::open_destination(context, team.uuid, &row) else { return Ok(false) };
    let taken = tx.take_copy_to_clean(copy, HELD_SECS).await?;
    tx.commit().await?;
    let Some(taken) = taken else { return Ok(false) };
    let removing = async {
        for object in &taken.objects {
            destination.delete(&object.name).await?;
        }
        Ok::<(), Failure>(())
    };
    let removed = tokio::time::timeout(COPY_REMOVAL_LIMIT, removing).await.unwrap_or_else(|_| Err(too_slow()));
    if let Err(failure) = removed {
        tracing::warn!(%copy, "what a failed copy left is still there: {failure}");
        return Ok(false);
    }
    let tx = context.store.for_team(access).await?;
    tx.forget_copy_objects(copy, taken.copy.epoch).await?;
    tx.commit().await?;
    Ok(true)
}

/// Lets go of a record whose object was refused to be removed, for an early next try.
async fn give_back(context: &WorkerContext, access: &Access, object: i64) -> Result<(), StoreError> {
    let tx = context.store.for_team(access).await?;
    tx.give_back_leftover(object, TRIED_AGAIN_AFTER_SECS).await?;
    tx.commit().await
}

async fn remove(destination: &dyn Destination, name: &str) -> Result<(), Failure> {
    tokio::time::timeout(REMOVAL_LIMIT, destination.delete(name)).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Failure {
    Failure::new(Step::FinishDestination, FailureCode::DestinationFailed, "The removal took too long.")
}
