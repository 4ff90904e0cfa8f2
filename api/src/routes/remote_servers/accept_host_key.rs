//! `POST /api/remote-servers/{id}/host-key/accept`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::host_keys;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::remote_server::HostKeysView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::RemoteServerId;
use serde_json::json;
use utoipa::ToSchema;

/// There is nothing to accept, or something else than what was compared.
enum Refusal {
    NothingPending,
    OtherKey,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NothingPending => Self::conflict(
                "no_pending_host_key",
                "No host key waits to be confirmed. Check the server first: that shows its key.",
            ),
            Refusal::OtherKey => Self::conflict(
                "other_host_key",
                "The key that waits to be confirmed has another fingerprint. Read it again and compare it with the \
                 server's own.",
            ),
        }
    }
}

/// The fingerprint that somebody compared with the server's.
#[derive(ToSchema)]
#[schema(as = HostKeyAcceptance)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// `SHA256:…`, as `ssh-keygen -lf` shows it on the server.
    fingerprint: String,
}

/// Pins the host key that waits, if it is the one with this fingerprint.
#[utoipa::path(post, path = "/api/remote-servers/{id}/host-key/accept", tag = "remote-servers",
    params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<HostKeysView>), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn accept_host_key(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateRemoteServers>,
    Id(id): Id<RemoteServerId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<HostKeysView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<RemoteServerId, _>(tx.remote_servers().find_for_update(id).await?)?;
    let fingerprint = fields.string("fingerprint", Presence::Required);
    fields.refuse_unknown();
    fields.finish()?;
    let pending = row.pending_host_key.take().ok_or(Refusal::NothingPending)?;
    let key = host_keys::parse(&pending).ok_or(Refusal::NothingPending)?;
    if fingerprint.as_deref() != Some(key.view.fingerprint.as_str()) {
        return Err(Refusal::OtherKey.into());
    }
    let now = state.now();
    let before = row.pinned_host_key.as_deref().and_then(host_keys::parse).map(|key| key.view.fingerprint);
    let details = json!({"fingerprint": key.view.fingerprint, "before": before});
    row.pinned_host_key = Some(key.line);
    row.pinned_at = Some(now);
    row.updated_at = now;
    let row = tx.remote_servers().save(row).await?;
    tx.audit_events().record("remote_server.host_key_accept", &format!("remote_servers:{id}"), details).await?;
    tx.commit().await?;
    Ok(data(HostKeysView::of(&row)))
}
