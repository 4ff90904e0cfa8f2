//! `GET /api/remote-servers`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::remote_server::RemoteServerView;
use axum::Json;
use axum::extract::State;

/// The team's servers.
#[utoipa::path(get, path = "/api/remote-servers", tag = "remote-servers",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In the label")),
    responses((status = 200, body = ListBody<RemoteServerView>)))]
pub async fn list_remote_servers(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewRemoteServers>,
    paging: Paging,
) -> Result<Json<ListBody<RemoteServerView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.remote_servers().list(paging.request(), paging.search()).await?;
    Ok(Json(paging.envelope(listed, RemoteServerView::of)))
}
