//! `GET /api/system/backups`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::own_backup::OwnBackupView;
use axum::Json;
use axum::extract::State;

/// Copies of the product's own database at this team's destinations.
#[utoipa::path(get, path = "/api/system/backups", tag = "system",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query)),
    responses((status = 200, body = ListBody<OwnBackupView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_own_backups(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    paging: Paging,
) -> Result<Json<ListBody<OwnBackupView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.own_backups().list(paging.request()).await?;
    Ok(Json(paging.envelope(listed, OwnBackupView::of)))
}
