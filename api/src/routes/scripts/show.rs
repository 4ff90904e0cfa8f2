//! `GET /api/scripts/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::script::ScriptView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::ScriptId;

/// One script.
#[utoipa::path(get, path = "/api/scripts/{id}", tag = "scripts", params(("id" = u64, Path)),
    responses((status = 200, body = Data<ScriptView>)))]
pub async fn show_script(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewScripts>,
    Id(id): Id<ScriptId>,
) -> Result<Json<Data<ScriptView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<ScriptId, _>(tx.scripts().find(id).await?)?;
    Ok(data(ScriptView::of(row)))
}
