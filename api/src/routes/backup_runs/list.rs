//! `GET /api/backup-runs`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_run::{BackupRunView, RunContext};
use axum::Json;
use axum::extract::State;
use holdfast_domain::run::RunStatus;
use holdfast_store::repositories::backup_runs::RunFilter;

/// The team's runs.
#[utoipa::path(get, path = "/api/backup-runs", tag = "backup-runs",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id` or `created_at`; with a dash in front descending"),
        ("filter[status]" = Option<String>, Query), ("filter[trigger]" = Option<String>, Query),
        ("filter[backup_task_id]" = Option<u64>, Query), ("filter[remote_server_id]" = Option<u64>, Query), ("search" = Option<String>, Query, description = "In the task's label"),
        ("since" = Option<String>, Query, description = "RFC 3339")),
    responses((status = 200, body = ListBody<BackupRunView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_backup_runs(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    paging: Paging,
) -> Result<Json<ListBody<BackupRunView>>, Problem> {
    let filter = RunFilter {
        backup_task_id: paging.filter_id("backup_task_id"),
        status: paging.filter_of("status", &RunStatus::ALL.map(RunStatus::as_str))?,
        trigger: paging.filter_of("trigger", &["manual", "schedule", "webhook"])?,
        since: paging.since()?,
        remote_server_id: paging.filter_id("remote_server_id"),
        search: paging.search_text(),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.backup_runs().list(paging.request(), &filter).await?;
    let ids: Vec<i64> = listed.rows.iter().map(|row| row.id).collect();
    let with_log = tx.backup_runs().with_log(&ids).await?;
    let backups = tx.backups().of_runs(&ids).await?;
    let now = state.now();
    Ok(Json(paging.envelope(listed, |row| {
        let context =
            RunContext { has_logs: with_log.contains(&row.id), backup_id: backups.get(&row.id).copied(), now };
        BackupRunView::of(row, &context)
    })))
}
