//! `POST /api/backup-copies/{id}/cancel`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup::CopyView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::BackupCopyId;
use serde_json::json;

/// Asks a copy that is being made to stop: 200 when it is over, 202 while a worker is still at it. What was made of it is
/// removed.
#[utoipa::path(post, path = "/api/backup-copies/{id}/cancel", tag = "backups", params(("id" = u64, Path)),
    responses((status = 200, body = Data<CopyView>), (status = 202, body = Data<CopyView>),
        (status = 409, body = crate::problem::ProblemBody)))]
pub async fn cancel_backup_copy(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupCopyId>,
) -> Result<(StatusCode, Json<Data<CopyView>>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = found::<BackupCopyId, _>(tx.copy_requests().find(id).await?)?;
    if !matches!(before.state.as_str(), "queued" | "running") {
        let message = format!("No copy is being made ({}).", before.state);
        return Err(Problem::conflict("already_finished", message));
    }
    let row = found::<BackupCopyId, _>(tx.copy_requests().request_cancel(id, state.now()).await?)?;
    tx.audit_events().record("backup_copy.cancel", &format!("backup_copies:{id}"), json!({})).await?;
    tx.commit().await?;
    let status = if row.state == "running" { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, data(CopyView::from(row))))
}
