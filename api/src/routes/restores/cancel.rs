//! `POST /api/restores/{id}/cancel`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::cancelling::{CancelView, POLL, WAIT, already_over};
use crate::state::ApiState;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::RestoreId;
use holdfast_domain::run::RunStatus;
use holdfast_store::{Access, rows};
use serde_json::json;
use tokio::time::Instant;

/// Asks a restore to stop and waits up to 12 seconds for it: 200 when it is over, 202 while the worker is still at it.
#[utoipa::path(post, path = "/api/restores/{id}/cancel", tag = "restores", params(("id" = u64, Path)),
    responses((status = 200, body = Data<CancelView>), (status = 202, body = Data<CancelView>),
        (status = 409, body = crate::problem::ProblemBody)))]
pub async fn cancel_restore(
    State(state): State<ApiState>,
    auth: Authorized<may::RestoreBackups>,
    Id(id): Id<RestoreId>,
) -> Result<(StatusCode, Json<Data<CancelView>>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = found::<RestoreId, _>(tx.restores().find(id).await?)?;
    if is_over(&before) {
        return Err(already_over("restore", &before.status));
    }
    let mut restore = found::<RestoreId, _>(tx.restores().request_cancel(id, state.now()).await?)?;
    tx.audit_events().record("restore.cancel", &format!("restores:{id}"), json!({})).await?;
    tx.commit().await?;
    let deadline = Instant::now() + WAIT;
    while !is_over(&restore) && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
        restore = read(&state, &auth.access, id).await?;
    }
    let status = if is_over(&restore) { StatusCode::OK } else { StatusCode::ACCEPTED };
    let view = CancelView { id: restore.id, status: restore.status, process_terminated: restore.process_terminated };
    Ok((status, data(view)))
}

async fn read(state: &ApiState, access: &Access, id: RestoreId) -> Result<rows::restores::Model, Problem> {
    let tx = state.store().for_team(access).await?;
    found::<RestoreId, _>(tx.restores().find(id).await?)
}

fn is_over(restore: &rows::restores::Model) -> bool {
    restore.status.parse().is_ok_and(RunStatus::is_final)
}
