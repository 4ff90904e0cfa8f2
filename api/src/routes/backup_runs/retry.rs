//! `POST /api/backup-runs/{id}/retry`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::backup_tasks::start::{RunStarted, Start, lock, start};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::{BackupRunId, BackupTaskId};

/// States of a run that brought less than it should.
const TRIED_AGAIN: [&str; 5] = ["failed", "partial", "cancelled", "skipped", "missed"];

/// Tries a run again that brought no whole backup: a new run of its task, to the same destinations, that says which one it
/// tries again. Everything else is as the task is now.
#[utoipa::path(post, path = "/api/backup-runs/{id}/retry", tag = "backup-runs", params(("id" = u64, Path)),
    responses((status = 202, body = RunStarted), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn retry_backup_run(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupRunId>,
) -> Result<(StatusCode, Json<RunStarted>), Problem> {
    if let Err(refused) = state.runs().take(auth.user_id, state.now()) {
        return Err(Problem::throttled(&refused, "Too many requests. Please try again later."));
    }
    let tx = state.store().for_team(&auth.access).await?;
    let failed = found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    if !TRIED_AGAIN.contains(&failed.status.as_str()) {
        let text =
            format!("The backup run is {}: only one that brought no whole backup is tried again.", failed.status);
        return Err(Problem::conflict("not_failed", &text));
    }
    let Some(task) = lock(&state, &tx, BackupTaskId(failed.backup_task_id)).await? else {
        return Err(Problem::conflict("task_deleted", "The backup task was deleted."));
    };
    let how = Start {
        trigger: "manual",
        triggered_by: Some(auth.user_id),
        destination_ids: failed.destination_ids,
        retry_of: Some(id),
    };
    let run = start(&state, &tx, &task, how).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(RunStarted::of(run))))
}
