//! `DELETE /api/auth/sessions`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use serde_json::json;

/// Ends all your sessions but this one.
#[utoipa::path(delete, path = "/api/auth/sessions", tag = "auth", responses((status = 200, body = Message)))]
pub async fn end_other_sessions(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let ended = tx.sessions().end_all(auth.user_id, auth.access.actor().session_id()).await?;
    let details = json!({"by": "list", "others": ended});
    tx.audit_events().record("session.end", &format!("users:{}", auth.user_id), details).await?;
    tx.commit().await?;
    Ok(Json(Message { message: format!("Other sessions ended: {ended}.") }))
}
