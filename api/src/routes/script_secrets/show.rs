//! `GET /api/script-secrets/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::script_secret::ScriptSecretView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::ScriptSecretId;

/// One secret, without its value.
#[utoipa::path(get, path = "/api/script-secrets/{id}", tag = "scripts", params(("id" = u64, Path)),
    responses((status = 200, body = Data<ScriptSecretView>)))]
pub async fn show_script_secret(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewScripts>,
    Id(id): Id<ScriptSecretId>,
) -> Result<Json<Data<ScriptSecretView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<ScriptSecretId, _>(tx.script_secrets().find(id).await?)?;
    Ok(data(ScriptSecretView::of(row)))
}
