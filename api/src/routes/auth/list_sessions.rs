//! `GET /api/auth/sessions`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::session::SessionView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// Your sessions that still hold, the newest first.
#[utoipa::path(get, path = "/api/auth/sessions", tag = "auth", responses((status = 200, body = Data<Vec<SessionView>>)))]
pub async fn list_sessions(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<Json<Data<Vec<SessionView>>>, Problem> {
    let current = auth.access.actor().session_id();
    let tx = state.store().for_team(&auth.access).await?;
    let rows = tx.sessions().list(auth.user_id, state.now(), state.accounts().session_idle).await?;
    Ok(data(rows.iter().map(|row| SessionView::of(row, current)).collect()))
}
