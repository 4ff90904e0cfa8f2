//! `GET /readyz`

use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;

/// The process can answer requests: the database answers, and its schema is not older than the program.
#[utoipa::path(get, path = "/readyz", tag = "system", responses(
    (status = 200, body = Message), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn readyz(State(state): State<ApiState>) -> Result<Json<Message>, Problem> {
    state.store().ping().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Problem::unavailable("database_unavailable", "The database does not answer.")
    })?;
    let Some(needed) = state.needed_migration() else { return Ok(Json(Message { message: "ready".to_owned() })) };
    // One that cannot be asked is older than the question.
    if !state.store().has_migration(needed).await.unwrap_or(false) {
        tracing::warn!(needed, "not ready: the schema is older than this program");
        let message = "The database's schema is older than this program: run `holdfast migrate`.";
        return Err(Problem::unavailable("schema_too_old", message));
    }
    Ok(Json(Message { message: "ready".to_owned() }))
}
