//! `GET /api/remote-servers/{id}/host-key`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::remote_server::HostKeysView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::RemoteServerId;

/// The pinned host key, and the one that waits to be confirmed.
#[utoipa::path(get, path = "/api/remote-servers/{id}/host-key", tag = "remote-servers", params(("id" = u64, Path)),
    responses((status = 200, body = Data<HostKeysView>)))]
pub async fn show_host_key(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewRemoteServers>,
    Id(id): Id<RemoteServerId>,
) -> Result<Json<Data<HostKeysView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<RemoteServerId, _>(tx.remote_servers().find(id).await?)?;
    Ok(data(HostKeysView::of(&row)))
}
