//! `GET /api/backup-runs/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_run::{BackupRunView, RunContext};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupRunId;

/// One run with its progress.
#[utoipa::path(get, path = "/api/backup-runs/{id}", tag = "backup-runs", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupRunView>)))]
pub async fn show_backup_run(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupRunId>,
) -> Result<Json<Data<BackupRunView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    let has_logs = tx.backup_runs().with_log(&[row.id]).await?.contains(&row.id);
    let backup_id = tx.backups().of_runs(&[row.id]).await?.get(&row.id).copied();
    Ok(data(BackupRunView::of(row, &RunContext { has_logs, backup_id, now: state.now() })))
}
