//! Whether a destination takes, returns and forgets an object.

use super::check_answer::{answer, failed, passed};
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::places;
use axum::response::Response;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_store::Access;

/// Writes, reads back and deletes a small object of a name of its own, and notes whether the destination answers: `{"ok":bool,"steps":[…]}`.
///
/// # Errors
/// Unknown destination.
pub async fn check_backup_destination(
    context: &WorkerContext,
    access: &Access,
    id: BackupDestinationId,
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.sealed().destination(id).await?;
    let team = tx.sealed().team().await?;
    tx.commit().await?;
    let row = row.filter(|row| row.deleted_at.is_none()).ok_or_else(Refusal::not_found)?;
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
    Ok(answer(&steps))
}

/// Never the name of a backup's object, and never the same twice: two checks at once do not meet.
fn probe_name() -> String {
    format!("holdfast-check-{}", uuid::Uuid::new_v4().simple())
}
