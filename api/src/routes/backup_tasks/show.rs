//! `GET /api/backup-tasks/{id}`

use super::{find, view};
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::BackupTaskView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;

/// One task.
#[utoipa::path(get, path = "/api/backup-tasks/{id}", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupTaskView>)))]
pub async fn show_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Data<BackupTaskView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = find(&tx, id).await?;
    Ok(data(view(&tx, row, auth.user_id, state.now()).await?))
}
