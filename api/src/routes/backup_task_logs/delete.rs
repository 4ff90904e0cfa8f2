//! `DELETE /api/backup-task-logs/{id}`
//!
//! A log is the text of a run. It goes; the run, its result and its backup stay, and no retention rule sees a difference.

use crate::extract::id::{LogId, found};
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::log::states_of;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

/// Removes the lines of a finished run and hides it among the logs. Its run and its backup stay.
#[utoipa::path(delete, path = "/api/backup-task-logs/{id}", tag = "backup-task-logs", params(("id" = u64, Path)),
    responses((status = 200, body = Message),
        (status = 204, description = "As 200, to a client that sends no `Accept`."), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_backup_task_log(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackupTasks>,
    Id(id): Id<LogId>,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let run = found::<LogId, _>(tx.task_logs().find_for_update(id.0).await?)?;
    if states_of("running").contains(&run.status.as_str()) {
        let message = "The log of a run that is not finished cannot be deleted. Cancel the run or wait for its end.";
        return Err(Problem::conflict("run_unfinished", message));
    }
    tx.task_logs().delete(id.0, state.now()).await?;
    let details = json!({"task": run.backup_task_id});
    tx.audit_events().record("backup_task_log.delete", &format!("backup_runs:{}", run.id), details).await?;
    tx.commit().await?;
    Ok(deletion.answer(Message { message: "Backup task log successfully deleted".to_owned() }))
}
