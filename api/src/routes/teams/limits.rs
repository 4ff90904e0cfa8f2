//! `GET /api/teams/current/limits`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::team_limits::TeamLimitsView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// What the team may have, and what it has.
#[utoipa::path(get, path = "/api/teams/current/limits", tag = "teams",
    responses((status = 200, body = Data<TeamLimitsView>)))]
pub async fn show_team_limits(
    State(state): State<ApiState>,
    auth: Authorized<may::AnyToken>,
) -> Result<Json<Data<TeamLimitsView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let limits = tx.team_limits();
    let allowed = limits.allowed(state.team_limits()).await?;
    Ok(data(TeamLimitsView::of(&allowed, &limits.all_used().await?)))
}
