//! A session: never its secret.

use super::time;
use holdfast_domain::ids::SessionId;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A log-in of yours.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    id: i64,
    /// It is the one that asks.
    is_current: bool,
    /// Where it began.
    ip_address: String,
    /// What its browser said of itself.
    user_agent: String,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
}

impl SessionView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: &rows::sessions::Model, current: Option<SessionId>) -> Self {
        Self {
            id: row.id,
            is_current: current == Some(SessionId(row.id)),
            ip_address: row.address.clone(),
            user_agent: row.user_agent.clone(),
            created_at: time::utc(row.created_at),
            last_seen_at: time::utc(row.last_seen_at),
            expires_at: time::utc(row.expires_at),
        }
    }
}
