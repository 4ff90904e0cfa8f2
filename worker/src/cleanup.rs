//! Removing what ended attempts left at destinations, by record.

use crate::context::WorkerContext;
use crate::places;
use holdfast_domain::ids::{BackupDestinationId, BackupRunId};
use holdfast_store::{Access, StoreError};

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
        if let Err(failure) = destination.delete(&object.name).await {
            tracing::warn!(%run, name = object.name, "an unfinished object is still there: {failure}");
            continue;
        }
        let tx = context.store.for_team(access).await?;
        tx.mark_object_removed(object.id).await?;
        tx.commit().await?;
        removed += 1;
    }
    Ok(removed)
}
