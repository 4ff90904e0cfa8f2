//! Copies of the product's own database at their destination: read as they are stored, or removed. They are encrypted to
//! the operator's key, which no worker has.

use super::download::object_answer;
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::places;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use holdfast_destinations::Destination;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_store::{Access, rows};
use std::sync::Arc;

/// The file that `holdfast admin restore` takes; with ranges, and its SHA-256 compared where it is read whole.
///
/// # Errors
/// Unknown, not finished, or not there any more.
pub async fn download(
    context: &WorkerContext,
    access: &Access,
    id: OwnBackupId,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let (row, destination) = find(context, access, id).await?;
    let (Some(size), Some(sha256)) = (row.size_bytes, row.sha256) else { return Err(Refusal::not_found()) };
    let digest = Digest { size_bytes: u64::try_from(size).unwrap_or(0), sha256 };
    let object = ManifestObject { name: row.object_name.clone(), digest };
    let reader = destination.open(&object).await?;
    // Made by us of letters, digits, dots, dashes and underscores.
    let name = row.object_name.rsplit('/').next().unwrap_or("holdfast");
    object_answer(reader, &object.digest, name, headers)
}

/// Removes object and row; 204.
///
/// # Errors
/// Unknown, being made at the moment, or the destination cannot be reached: then nothing counts as removed.
pub async fn delete(context: &WorkerContext, access: &Access, id: OwnBackupId) -> Result<Response, Refusal> {
    let (row, destination) = find(context, access, id).await?;
    if matches!(row.status.as_str(), "queued" | "running") {
        return Err(Refusal::new(StatusCode::CONFLICT, "not_finished", "This copy is being made at the moment."));
    }
    destination.delete(&row.object_name).await?;
    let tx = context.store.for_team(access).await?;
    tx.own_backups().delete(id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn find(
    context: &WorkerContext,
    access: &Access,
    id: OwnBackupId,
) -> Result<(rows::own_backups::Model, Arc<dyn Destination>), Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.own_backups().find(id).await?.ok_or_else(Refusal::not_found)?;
    let team = tx.sealed().team().await?;
    // A deleted destination too: what lies there stays there.
    let place = tx.sealed().destination(BackupDestinationId(row.backup_destination_id)).await?;
    tx.commit().await?;
    let destination = places::open_destination(context, team.uuid, &place.ok_or_else(Refusal::not_found)?)?;
    Ok((row, destination))
}
