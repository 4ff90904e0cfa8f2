//! Whether a destination takes, returns and forgets an object.

use super::check_answer::{answer, failed, passed};
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::places;
use axum::response::Response;
use holdfast_domain::check::CheckStep;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_store::{Access, StoreError};

/// Writes, reads back and deletes a small object of a name of its own, and notes whether the destination answers: `{"ok":bool,"steps":[…]}`.
///
/// # Errors
/// Unknown destination.
pub async fn check_backup_destination(
    context: &WorkerContext,
    access: &Access,
    id: BackupDestinationId,
) -> Result<Response, Refusal> {
    let steps = try_destination(context, access, id).await?.ok_or_else(Refusal::not_found)?;
    Ok(answer(&steps))
}

/// The steps of [`check_backup_destination`]; none where there is no such destination.
///
/// # Errors
/// The database failed.
pub(crate) async fn try_destination(
    context: &WorkerContext,
    access: &Access,
    id: BackupDestinationId,
) -> Result<Option<Vec<CheckStep>>, StoreError> {
    let tx = context.store.for_team(access).await?;
    let row = tx.sealed().destination(id).await?;
    let team = tx.sealed().team().await?;
    tx.commit().await?;
    let Some(row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(None) };
    let steps = match places::open_destination(context, team.uuid, &row) {
        Ok(destination) => {
            let mut steps = vec![passed("open", "The destination is set up on this worker.")];
            steps.extend(destination.check(&probe_name()).await);
            steps
        }
        Err(failure) => vec![failed("open", failure.to_string())],
    };
    let failed = steps.iter().find(|step| !step.ok);
    let tx = context.store.for_team(access).await?;
    tx.reachability().note_destination(id, failed.map_or(Ok(()), |step| Err(step.message.as_str()))).await?;
    tx.commit().await?;
    Ok(Some(steps))
}

/// Never the name of a backup's object, and never the same twice: two checks at once do not meet.
fn probe_name() -> String {
    format!("holdfast-check-{}", uuid::Uuid::new_v4().simple())
}
