//! How much room a destination has, as its store says; many do not say.

use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::places;
use axum::Json;
use axum::response::{IntoResponse, Response};
use holdfast_domain::ids::BackupDestinationId;
use holdfast_store::Access;
use serde_json::json;

/// `{"total_bytes":n|null,"available_bytes":n|null}`.
///
/// # Errors
/// Unknown destination, or its store cannot be reached.
pub async fn backup_destination_usage(
    context: &WorkerContext,
    access: &Access,
    id: BackupDestinationId,
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.sealed().destination(id).await?;
    let team = tx.sealed().team().await?;
    tx.commit().await?;
    let row = row.filter(|row| row.deleted_at.is_none()).ok_or_else(Refusal::not_found)?;
    let room = places::open_destination(context, team.uuid, &row)?.usage().await?;
    let (total, available) = (room.map(|room| room.total_bytes), room.map(|room| room.available_bytes));
    Ok(Json(json!({"total_bytes": total, "available_bytes": available})).into_response())
}
