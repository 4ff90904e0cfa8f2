//! `GET /api/backup-tasks/{id}/status`

use super::find;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::status;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a task runs.
#[derive(Serialize, ToSchema)]
pub struct TaskStatusView {
    id: i64,
    /// `running`, `ready`.
    status: &'static str,
}

/// `running` from the 202 of a run until its final state, else `ready`.
#[utoipa::path(get, path = "/api/backup-tasks/{id}/status", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<TaskStatusView>)))]
pub async fn show_backup_task_status(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Data<TaskStatusView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = find(&tx, id).await?;
    let is_running = !tx.backup_runs().unfinished_of(id).await?.is_empty();
    Ok(data(TaskStatusView { id: row.id, status: status(is_running) }))
}
