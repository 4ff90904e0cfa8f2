//! `GET /api/remote-servers/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::remote_server::RemoteServerView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::RemoteServerId;

/// One server.
#[utoipa::path(get, path = "/api/remote-servers/{id}", tag = "remote-servers", params(("id" = u64, Path)),
    responses((status = 200, body = Data<RemoteServerView>)))]
pub async fn show_remote_server(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewRemoteServers>,
    Id(id): Id<RemoteServerId>,
) -> Result<Json<Data<RemoteServerView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<RemoteServerId, _>(tx.remote_servers().find(id).await?)?;
    Ok(data(RemoteServerView::of(row)))
}
