//! `GET /api/system/jobs`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::fleet::JobView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// The periodic jobs of the workers, and what came of the latest round of each. Every worker runs every job.
#[utoipa::path(get, path = "/api/system/jobs", tag = "system", responses((status = 200, body = Data<Vec<JobView>>)))]
pub async fn list_jobs(
    State(state): State<ApiState>,
    _: Authorized<may::ManageWorkers>,
) -> Result<Json<Data<Vec<JobView>>>, Problem> {
    let jobs = state.store().reconcilers().await?;
    Ok(data(jobs.into_iter().map(JobView::of).collect()))
}
