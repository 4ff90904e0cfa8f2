//! `GET /api/system/teams`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::person::TeamView;
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::Listed;

/// Teams with what they may have and what they have.
#[utoipa::path(get, path = "/api/system/teams", tag = "system",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query)),
    responses((status = 200, body = ListBody<TeamView>)))]
pub async fn list_teams(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    paging: Paging,
) -> Result<Json<ListBody<TeamView>>, Problem> {
    let mut tx = state.store().for_team(&auth.access).await?;
    let Listed { rows, total } = tx.operator().teams(paging.request(), paging.search()).await?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let (next, view) = super::view(&state, tx, row).await?;
        tx = next;
        views.push(view);
    }
    Ok(Json(paging.envelope(Listed { rows: views, total }, |view| view)))
}
