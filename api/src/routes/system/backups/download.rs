//! `GET /api/system/backups/{id}/download`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::backups::download::passed_on;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_domain::ticket::TicketAction;
use serde_json::json;

/// The file that `holdfast admin restore` takes, with ranges; encrypted, as it is stored.
#[utoipa::path(get, path = "/api/system/backups/{id}/download", tag = "system", params(("id" = u64, Path)),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream", body = [u8]),
        (status = 206, description = "A range of them", content_type = "application/octet-stream", body = [u8]),
        (status = 409, body = crate::problem::ProblemBody), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn download_own_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    Id(id): Id<OwnBackupId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<OwnBackupId, _>(tx.own_backups().find(id).await?)?;
    if row.status != "succeeded" {
        return Err(Problem::conflict(
            "not_there",
            format!("There is nothing to download: this copy is {}.", row.status),
        ));
    }
    tx.audit_events().record("own_backup.download", &format!("own_backups:{id}"), json!({})).await?;
    tx.commit().await?;
    let destination = BackupDestinationId(row.backup_destination_id);
    let action = TicketAction::DownloadOwnBackup { id, destination };
    let answer = state.relay().open_part(state.store(), &auth.access, action, &headers).await?;
    Ok(passed_on(answer))
}
