//! `POST /api/backup-runs/{id}/cancel`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::cancelling::{CancelView, POLL, WAIT, already_over};
use crate::state::ApiState;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::run::RunStatus;
use holdfast_store::{Access, rows};
use serde_json::json;
use tokio::time::Instant;

/// Asks a run to stop and waits up to 12 seconds for it: 200 when it is over, 202 while the worker is still at it.
#[utoipa::path(post, path = "/api/backup-runs/{id}/cancel", tag = "backup-runs", params(("id" = u64, Path)),
    responses((status = 200, body = Data<CancelView>), (status = 202, body = Data<CancelView>),
        (status = 409, body = crate::problem::ProblemBody)))]
pub async fn cancel_backup_run(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupRunId>,
) -> Result<(StatusCode, Json<Data<CancelView>>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    if is_over(&before) {
        return Err(already_over("backup run", &before.status));
    }
    let mut run = found::<BackupRunId, _>(tx.backup_runs().request_cancel(id, state.now()).await?)?;
    tx.audit_events().record("backup_run.cancel", &format!("backup_runs:{id}"), json!({})).await?;
    tx.commit().await?;
    let deadline = Instant::now() + WAIT;
    while !is_over(&run) && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
        run = read(&state, &auth.access, id).await?;
    }
    let status = if is_over(&run) { StatusCode::OK } else { StatusCode::ACCEPTED };
    let view = CancelView { id: run.id, status: run.status, process_terminated: run.process_terminated };
    Ok((status, data(view)))
}

async fn read(state: &ApiState, access: &Access, id: BackupRunId) -> Result<rows::backup_runs::Model, Problem> {
    let tx = state.store().for_team(access).await?;
    found::<BackupRunId, _>(tx.backup_runs().find(id).await?)
}

fn is_over(run: &rows::backup_runs::Model) -> bool {
    run.status.parse().is_ok_and(RunStatus::is_final)
}
