//! `DELETE /api/system/backups/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_domain::ticket::TicketAction;
use serde_json::json;

/// Removes a copy from its destination and from the list; one that is being made cannot be removed.
#[utoipa::path(delete, path = "/api/system/backups/{id}", tag = "system", params(("id" = u64, Path)),
    responses((status = 200, body = Message), (status = 409, body = crate::problem::ProblemBody),
        (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn delete_own_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    Id(id): Id<OwnBackupId>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<OwnBackupId, _>(tx.own_backups().find(id).await?)?;
    let details = json!({"object_name": row.object_name, "sha256": row.sha256});
    tx.audit_events().record("own_backup.delete", &format!("own_backups:{id}"), details).await?;
    tx.commit().await?;
    let destination = BackupDestinationId(row.backup_destination_id);
    // Only a worker reaches the destination; the row goes after the object, so that nothing is forgotten that is there.
    state.relay().open(state.store(), &auth.access, TicketAction::DeleteOwnBackup { id, destination }).await?;
    Ok(Json(Message { message: "Backup successfully deleted".to_owned() }))
}
