//! `GET /api/ssh-key`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// The team's public key. The page's peer answers at the top level, without `data`; so do we.
#[derive(Serialize, ToSchema)]
pub struct SshKeyView {
    /// `ssh-ed25519 AAAA… name`, with a line end.
    public_key: String,
    /// The line for the server's `authorized_keys`: the key, without any forwarding and without a terminal.
    authorized_keys_line: String,
}

/// The key that a server must let in.
#[utoipa::path(get, path = "/api/ssh-key", tag = "remote-servers", responses(
    (status = 200, body = SshKeyView), (status = 404, body = crate::problem::ProblemBody)))]
pub async fn show_ssh_key(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateRemoteServers>,
) -> Result<Json<SshKeyView>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let key = tx.team_keys().newest("ssh").await?.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no_ssh_key", "This team has no SSH key; the operator must make one.")
    })?;
    Ok(Json(SshKeyView {
        public_key: format!("{}\n", key.public.trim()),
        authorized_keys_line: authorized_keys_line(&key.public),
    }))
}

/// The line that lets the team's key in, without any forwarding and without a terminal.
pub(in crate::routes) fn authorized_keys_line(public: &str) -> String {
    format!("restrict {}", public.trim())
}
