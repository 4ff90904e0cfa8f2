//! `POST /api/system/jobs/run`

use crate::extract::{Authorized, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::state::ApiState;
use crate::validation::{Presence, texts};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Which job.
#[derive(ToSchema)]
#[schema(as = JobRunRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// As `GET /api/system/jobs` has it.
    name: String,
}

/// The round is wanted.
#[derive(Serialize, ToSchema)]
pub struct JobRequested {
    message: &'static str,
}

/// Has one worker run a periodic job now: within seconds, or when the round that is under way there is over.
#[utoipa::path(post, path = "/api/system/jobs/run", tag = "system", request_body = Body,
    responses((status = 202, body = JobRequested), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn run_job(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageWorkers>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<JobRequested>), Problem> {
    let name = fields.string("name", Presence::Required).unwrap_or_default();
    fields.refuse_unknown();
    fields.finish()?;
    if !state.store().request_round(&name).await? {
        return Err(Problem::validation(FieldErrors::one("name", texts::selected("name"))));
    }
    let tx = state.store().for_team(&auth.access).await?;
    tx.audit_events().record("job.run", "jobs", json!({"name": name})).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(JobRequested { message: "The job runs now." })))
}
