//! A server.

use super::time;
use crate::host_keys::{self, HostKeyView};
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A host reached by SSH.
#[derive(Serialize, ToSchema)]
pub struct RemoteServerView {
    id: i64,
    user_id: i64,
    label: String,
    connection: ConnectionView,
    status: ServerStatusView,
    created_at: String,
    updated_at: String,
    /// Not of the peer: the pinned host key.
    #[schema(required)]
    host_key: Option<HostKeyView>,
    limits: ServerLimitsView,
}

/// How much of a server may be used.
#[derive(Serialize, ToSchema)]
struct ServerLimitsView {
    /// Runs that may read it at the same time.
    runs_at_once: i32,
}

#[derive(Serialize, ToSchema)]
struct ConnectionView {
    ip_address: String,
    username: String,
    port: i32,
    is_database_password_set: bool,
    /// `team_key`, `password`, `private_key`.
    auth_method: String,
    /// `russh`, `openssh`.
    transport: String,
    /// The servers through which it is reached, in order.
    jump: Vec<i64>,
}

#[derive(Serialize, ToSchema)]
struct ServerStatusView {
    /// `unknown`, `checking`, `online`, `offline`.
    connectivity: String,
    #[schema(required)]
    last_connected_at: Option<String>,
}

impl RemoteServerView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::remote_servers::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            label: row.label,
            host_key: row.pinned_host_key.as_deref().and_then(host_keys::parse).map(|key| key.view),
            connection: ConnectionView {
                ip_address: row.host,
                username: row.username,
                port: row.port,
                is_database_password_set: row.sealed_database_password.is_some(),
                auth_method: row.auth_method,
                transport: row.transport,
                jump: row.jump_ids,
            },
            status: ServerStatusView {
                connectivity: row.connectivity,
                last_connected_at: time::utc_or_null(row.last_connected_at),
            },
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
            limits: ServerLimitsView { runs_at_once: row.runs_at_once },
        }
    }
}

/// The keys a server showed.
#[derive(Serialize, ToSchema)]
pub struct HostKeysView {
    /// Confirmed: the only one that is talked to.
    #[schema(required)]
    pub pinned: Option<HostKeyView>,
    /// Seen, and waiting for somebody to compare and confirm it.
    #[schema(required)]
    pub pending: Option<HostKeyView>,
}

impl HostKeysView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: &rows::remote_servers::Model) -> Self {
        let view = |line: &Option<String>| line.as_deref().and_then(host_keys::parse).map(|key| key.view);
        Self { pinned: view(&row.pinned_host_key), pending: view(&row.pending_host_key) }
    }
}
