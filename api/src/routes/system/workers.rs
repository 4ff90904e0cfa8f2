//! `GET /api/system/workers`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::fleet::WorkerView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// Workers that live, that died within the last hour, and that end once what they have in hand is over.
#[utoipa::path(get, path = "/api/system/workers", tag = "system", responses((status = 200, body = Data<Vec<WorkerView>>)))]
pub async fn list_workers(
    State(state): State<ApiState>,
    _: Authorized<may::ManageWorkers>,
) -> Result<Json<Data<Vec<WorkerView>>>, Problem> {
    let workers = state.store().workers().await?;
    let held = state.store().held_by_workers().await?;
    Ok(data(workers.into_iter().map(|worker| WorkerView::of(worker, &held)).collect()))
}
