//! `GET /api/backup-task-logs/{id}`

use crate::extract::id::{LogId, found};
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::log::{LogView, OUTPUT_MAX_CHARS};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_store::{TeamTx, rows};

/// One log; its id is the run's.
#[utoipa::path(get, path = "/api/backup-task-logs/{id}", tag = "backup-task-logs", params(("id" = u64, Path)),
    responses((status = 200, body = Data<LogView>)))]
pub async fn show_backup_task_log(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<LogId>,
) -> Result<Json<Data<LogView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let run = found::<LogId, _>(tx.task_logs().find(id.0).await?)?;
    Ok(data(view(&tx, run).await?))
}

/// The log of `run` as the wire shows it alone.
pub(in crate::routes) async fn view(tx: &TeamTx, run: rows::backup_runs::Model) -> Result<LogView, Problem> {
    let text = tx.task_logs().texts(&[run.id], OUTPUT_MAX_CHARS).await?.remove(&run.id).unwrap_or_default();
    Ok(LogView::of(run, text))
}
