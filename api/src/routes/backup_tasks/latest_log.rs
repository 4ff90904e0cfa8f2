//! `GET /api/backup-tasks/{id}/latest-log`

use super::find;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::backup_task_logs::show::view;
use crate::state::ApiState;
use crate::views::log::LogView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::BackupTaskId;

/// The newest run as page 003 knows it: shown from the 202 on.
#[utoipa::path(get, path = "/api/backup-tasks/{id}/latest-log", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<LogView>)))]
pub async fn show_latest_log(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Data<LogView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    find(&tx, id).await?;
    let run = tx
        .task_logs()
        .latest_of(id)
        .await?
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no_logs", "No logs found for this backup task."))?;
    Ok(data(view(&tx, run).await?))
}
