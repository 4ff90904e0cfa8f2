//! `GET /api/tokens`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::token::TokenView;
use axum::Json;
use axum::extract::State;

/// Your tokens that were not revoked, without their secrets.
#[utoipa::path(get, path = "/api/tokens", tag = "tokens", responses((status = 200, body = ListBody<TokenView>)))]
pub async fn list_tokens(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    paging: Paging,
) -> Result<Json<ListBody<TokenView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.tokens().list(auth.user_id, paging.request()).await?;
    Ok(Json(paging.envelope(listed, |row| TokenView::of(&row))))
}
