//! `GET /api/recycle-bin`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::keeping::BinnedView;
use axum::Json;
use axum::extract::State;

/// The copies in the recycle bin. One of a backup whose other copies are not there is among them too.
#[utoipa::path(get, path = "/api/recycle-bin", tag = "recycle-bin",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query)),
    responses((status = 200, body = ListBody<BinnedView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_recycle_bin(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    paging: Paging,
) -> Result<Json<ListBody<BinnedView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.recycle_bin().list(paging.request()).await?;
    Ok(Json(paging.envelope(listed, BinnedView::of)))
}
