//! `POST /api/auth/logout`

use crate::accounts::log_in::forget;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::json;

/// Ends this session.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", responses((status = 200, body = Message)))]
pub async fn log_out(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let id = auth.access.actor().session_id().ok_or_else(Problem::unauthenticated)?;
    let tx = state.store().for_team(&auth.access).await?;
    tx.sessions().end(auth.user_id, id).await?;
    tx.audit_events().record("session.end", &format!("sessions:{id}"), json!({"by": "logout"})).await?;
    tx.commit().await?;
    Ok((forget(&state), Json(Message { message: "Logged out.".to_owned() })))
}
