//! `GET /api/backup-tasks`

use super::user_zone;
use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::{BackupTaskView, TaskContext};
use axum::Json;
use axum::extract::State;

/// The team's tasks.
#[utoipa::path(get, path = "/api/backup-tasks", tag = "backup-tasks",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In the label")),
    responses((status = 200, body = ListBody<BackupTaskView>)))]
pub async fn list_backup_tasks(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    paging: Paging,
) -> Result<Json<ListBody<BackupTaskView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.backup_tasks().list(paging.request(), paging.search()).await?;
    let ids: Vec<i64> = listed.rows.iter().map(|row| row.id).collect();
    let mut destinations = tx.backup_tasks().destinations_of(&ids).await?;
    let running = tx.backup_tasks().running_among(&ids).await?;
    let user_zone = user_zone(&tx, auth.user_id).await?;
    let now = state.now();
    Ok(Json(paging.envelope(listed, |row| {
        let destination_ids = destinations.remove(&row.id).unwrap_or_default();
        let is_running = running.contains(&row.id);
        BackupTaskView::of(row, TaskContext { destination_ids, is_running, user_zone, now })
    })))
}
