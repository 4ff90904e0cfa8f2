//! `GET /api/backup-tasks`

use super::views;
use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::BackupTaskView;
use axum::Json;
use axum::extract::State;
use holdfast_domain::schedule::Frequency;
use holdfast_store::repositories::Listed;
use holdfast_store::repositories::backup_tasks::TaskFilter;

/// The team's tasks.
#[utoipa::path(get, path = "/api/backup-tasks", tag = "backup-tasks",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query),
        ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In label or alias"),
        ("filter[type]" = Option<String>, Query, description = "`files`, `database`"),
        ("filter[status]" = Option<String>, Query, description = "`ready`, `running`"),
        ("filter[frequency]" = Option<String>, Query, description = "`daily`, `weekly`, `custom`, `manual`"),
        ("filter[paused]" = Option<bool>, Query), ("filter[alias]" = Option<String>, Query),
        ("filter[remote_server_id]" = Option<u64>, Query), ("filter[backup_destination_id]" = Option<u64>, Query),
        ("filter[tag]" = Option<u64>, Query, description = "The tag's id")),
    responses((status = 200, body = ListBody<BackupTaskView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_backup_tasks(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<BackupTaskView>>, Problem> {
    let filter = TaskFilter {
        search: paging.search_text(),
        alias: paging.filter_text("alias"),
        kind: paging.filter_of("type", &["files", "database"])?,
        frequency: paging.filter_of("frequency", &Frequency::ALL.map(Frequency::as_str))?,
        remote_server_id: paging.filter_id("remote_server_id"),
        backup_destination_id: paging.filter_id("backup_destination_id"),
        tag_id: paging.filter_id("tag"),
        is_running: paging.filter_of("status", &["ready", "running"])?.map(|status| status == "running"),
        is_paused: paging.filter_flag("paused")?,
    };
    let tx = state.store().for_team(&auth.access).await?;
    let Listed { rows, total } = tx.backup_tasks().list(paging.request(), &filter).await?;
    let rows = views(&tx, rows, auth.user_id, state.now()).await?;
    Ok(Json(paging.envelope(Listed { rows, total }, |view| view)))
}
