//! `GET /api/remote-servers`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::remote_server::RemoteServerView;
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::remote_servers::ServerFilter;

/// The team's servers.
#[utoipa::path(get, path = "/api/remote-servers", tag = "remote-servers",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In label or host"),
        ("filter[connectivity]" = Option<String>, Query, description = "`unknown`, `checking`, `online`, `offline`"),
        ("filter[ip_address]" = Option<String>, Query, description = "Exactly this address or host name"),
        ("filter[username]" = Option<String>, Query)),
    responses((status = 200, body = ListBody<RemoteServerView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_remote_servers(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewRemoteServers>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<RemoteServerView>>, Problem> {
    let filter = ServerFilter {
        search: paging.search_text(),
        connectivity: paging.filter_of("connectivity", &["unknown", "checking", "online", "offline"])?,
        host: paging.filter_text("ip_address"),
        username: paging.filter_text("username"),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.remote_servers().list(paging.request(), &filter).await?;
    Ok(Json(paging.envelope(listed, RemoteServerView::of)))
}
