//! `POST /api/remote-servers/{id}/check`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::checks;
use crate::state::ApiState;
use crate::views::{CheckView, Data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::ticket::TicketAction;
use serde_json::json;

/// Connects, compares the host key, logs in and looks for the tools. The host key seen is then shown by `host-key`.
#[utoipa::path(post, path = "/api/remote-servers/{id}/check", tag = "remote-servers", params(("id" = u64, Path)),
    responses((status = 200, body = Data<CheckView>), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn check_remote_server(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateRemoteServers>,
    Id(id): Id<RemoteServerId>,
) -> Result<Json<Data<CheckView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<RemoteServerId, _>(tx.remote_servers().find(id).await?)?;
    tx.audit_events().record("remote_server.check", &format!("remote_servers:{id}"), json!({})).await?;
    // A connection to the database is not held while a worker talks to a server.
    tx.commit().await?;
    checks::check(&state, &auth.access, TicketAction::CheckRemoteServer { id }).await
}
