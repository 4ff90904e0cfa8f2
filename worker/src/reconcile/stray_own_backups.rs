//! Copies of the own database that nobody works on: put on the queue again, ended, or what they left behind removed.

use super::stray_runs::{QUEUED_SECS, bucket};
use crate::context::WorkerContext;
use crate::places;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::own_backups::OwnBackupVerdict;
use holdfast_store::{Access, StoreError};

/// Strays of one round.
const AT_MOST: i32 = 20;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for stray in context.store.stray_own_backups(QUEUED_SECS, AT_MOST).await? {
        let access = Access::system(stray.team_id, "stray copies of the own database");
        if stray.verdict == OwnBackupVerdict::Remove {
            remove_object(context, &access, stray.id).await?;
            continue;
        }
        let tx = context.store.for_team(&access).await?;
        if stray.verdict == OwnBackupVerdict::Nudge {
            queue::nudge(&tx, Job::MakeOwnBackup(stray.id), bucket(context)).await?;
        } else {
            let failure = Failure::new(Step::Stream, FailureCode::Abandoned, "Its worker disappeared.");
            tx.own_backups().fail(stray.id, stray.epoch, &failure).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

/// Deletes the recorded object of a copy that was not made, unless this worker cannot reach its destination.
///
/// # Errors
/// The database failed.
pub async fn remove_object(context: &WorkerContext, access: &Access, id: OwnBackupId) -> Result<(), StoreError> {
    let tx = context.store.for_team(access).await?;
    let row = tx.own_backups().find(id).await?.filter(|row| row.status == "failed");
    let Some(row) = row else { return Ok(()) };
    let team = tx.sealed().team().await?;
    let place = tx.sealed().destination(BackupDestinationId(row.backup_destination_id)).await?;
    // No transaction is open while a destination is spoken to.
    tx.commit().await?;
    let Some(place) = place else { return Ok(()) };
    let Ok(destination) = places::open_destination(context, team.uuid, &place) else { return Ok(()) };
    if let Err(failure) = destination.delete(&row.object_name).await {
        tracing::warn!(own_backup = %id, name = row.object_name, "an unfinished object is still there: {failure}");
        return Ok(());
    }
    let tx = context.store.for_team(access).await?;
    tx.own_backups().object_is_gone(id).await?;
    tx.commit().await
}
