//! `GET /api/backup-task-logs`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::log::{LISTED_OUTPUT_MAX_CHARS, LogView, PAGE_STATUSES, states_of};
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::task_logs::LogFilter;

/// The team's logs: one a run, those of deleted tasks too. A skipped due time makes none.
#[utoipa::path(get, path = "/api/backup-task-logs", tag = "backup-task-logs",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query),
        ("sort" = Option<String>, Query, description = "`id` or `created_at`; with a dash in front descending"),
        ("filter[backup_task_id]" = Option<u64>, Query),
        ("filter[status]" = Option<String>, Query, description = "`running`, `successful`, `failed`"),
        ("search" = Option<String>, Query, description = "In the task's label")),
    responses((status = 200, body = ListBody<LogView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_backup_task_logs(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    paging: Paging,
) -> Result<Json<ListBody<LogView>>, Problem> {
    let filter = LogFilter {
        backup_task_id: paging.filter_id("backup_task_id"),
        statuses: paging.filter_of("status", &PAGE_STATUSES)?.map(|word| states_of(&word)),
        search: paging.search_text(),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.task_logs().list(paging.request(), &filter).await?;
    let ids: Vec<i64> = listed.rows.iter().map(|row| row.id).collect();
    let mut texts = tx.task_logs().texts(&ids, LISTED_OUTPUT_MAX_CHARS).await?;
    Ok(Json(paging.envelope(listed, |run| {
        let text = texts.remove(&run.id).unwrap_or_default();
        LogView::of(run, text)
    })))
}
