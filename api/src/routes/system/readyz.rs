//! `GET /readyz`

use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;

/// The process can answer requests: the database answers.
#[utoipa::path(get, path = "/readyz", tag = "system", responses(
    (status = 200, body = Message), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn readyz(State(state): State<ApiState>) -> Result<Json<Message>, Problem> {
    state.store().ping().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::unavailable("database_unavailable", "The database does not answer.")
    })?;
    Ok(Json(Message { message: "ready".to_owned() }))
}
