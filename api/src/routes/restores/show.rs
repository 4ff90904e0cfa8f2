//! `GET /api/restores/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::restore::RestoreView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::RestoreId;

/// One restore with its progress.
#[utoipa::path(get, path = "/api/restores/{id}", tag = "restores", params(("id" = u64, Path)),
    responses((status = 200, body = Data<RestoreView>)))]
pub async fn show_restore(
    State(state): State<ApiState>,
    auth: Authorized<may::RestoreBackups>,
    Id(id): Id<RestoreId>,
) -> Result<Json<Data<RestoreView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<RestoreId, _>(tx.restores().find(id).await?)?;
    Ok(data(RestoreView::of(row, state.now())))
}
