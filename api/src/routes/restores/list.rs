//! `GET /api/restores`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::restore::RestoreView;
use axum::Json;
use axum::extract::State;
use holdfast_domain::run::RunStatus;
use holdfast_store::repositories::restores::RestoreFilter;

/// The team's restores.
#[utoipa::path(get, path = "/api/restores", tag = "restores",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id` or `created_at`; with a dash in front descending"),
        ("filter[status]" = Option<String>, Query), ("filter[backup_id]" = Option<u64>, Query),
        ("filter[remote_server_id]" = Option<u64>, Query),
        ("search" = Option<String>, Query, description = "In what the backup's task was called then")),
    responses((status = 200, body = ListBody<RestoreView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_restores(
    State(state): State<ApiState>,
    auth: Authorized<may::RestoreBackups>,
    paging: Paging,
) -> Result<Json<ListBody<RestoreView>>, Problem> {
    let filter = RestoreFilter {
        backup_id: paging.filter_id("backup_id"),
        remote_server_id: paging.filter_id("remote_server_id"),
        search: paging.search_text(),
        status: paging.filter_of("status", &RunStatus::ALL.map(RunStatus::as_str))?,
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.restores().list(paging.request(), &filter).await?;
    let now = state.now();
    Ok(Json(paging.envelope(listed, |row| RestoreView::of(row, now))))
}
