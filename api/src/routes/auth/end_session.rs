//! `DELETE /api/auth/sessions/{id}`

use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::SessionId;
use serde_json::json;

/// Ends one of your sessions.
#[utoipa::path(delete, path = "/api/auth/sessions/{id}", tag = "auth", params(("id" = i64, Path)),
    responses((status = 200, body = Message)))]
pub async fn end_session(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    Id(id): Id<SessionId>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    if !tx.sessions().end(auth.user_id, id).await? {
        return Err(Problem::not_found("Session"));
    }
    tx.audit_events().record("session.end", &format!("sessions:{id}"), json!({"by": "list"})).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Session ended.".to_owned() }))
}
