//! `GET /api/scripts`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::script::ScriptView;
use axum::Json;
use axum::extract::State;

/// The team's scripts.
#[utoipa::path(get, path = "/api/scripts", tag = "scripts",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query),
        ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In label or description")),
    responses((status = 200, body = ListBody<ScriptView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_scripts(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewScripts>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<ScriptView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.scripts().list(paging.request(), paging.search()).await?;
    Ok(Json(paging.envelope(listed, ScriptView::of)))
}
