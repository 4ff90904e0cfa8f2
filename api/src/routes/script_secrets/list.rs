//! `GET /api/script-secrets`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::script_secret::ScriptSecretView;
use axum::Json;
use axum::extract::State;

/// The team's secrets for scripts, without their values.
#[utoipa::path(get, path = "/api/script-secrets", tag = "scripts",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In name or description")),
    responses((status = 200, body = ListBody<ScriptSecretView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_script_secrets(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewScripts>,
    paging: Paging,
) -> Result<Json<ListBody<ScriptSecretView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.script_secrets().list(paging.request(), paging.search()).await?;
    Ok(Json(paging.envelope(listed, ScriptSecretView::of)))
}
