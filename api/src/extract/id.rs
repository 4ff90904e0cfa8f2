//! Ids in paths. What is not an id is answered like an id that does not exist.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use holdfast_domain::ids::{
    BackupCopyId, BackupDestinationId, BackupId, BackupRunId, BackupTaskId, DeliveryId, NotificationStreamId,
    OwnBackupId, RemoteServerId, RestoreId, ScriptId, ScriptSecretId, SessionId, TagId, TeamId, TokenId, UserId,
};

/// Largest id: what a JavaScript number holds exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// An id that stands in a path.
pub trait PathId: Sized + Send {
    /// What it is an id of, as a 404 calls it.
    const THING: &'static str;
    /// Wraps the number.
    fn from_number(number: i64) -> Self;
}

macro_rules! path_ids {
    ($($name:ident = $thing:literal),+ $(,)?) => {$(
        impl PathId for $name {
            const THING: &'static str = $thing;
            fn from_number(number: i64) -> Self {
                Self(number)
            }
        }
    )+};
}

path_ids! {
    RemoteServerId = "Remote server",
    BackupDestinationId = "Backup destination",
    BackupTaskId = "Backup task",
    BackupRunId = "Backup run",
    TagId = "Tag",
    BackupId = "Backup",
    BackupCopyId = "Backup copy",
    RestoreId = "Restore",
    OwnBackupId = "Backup",
    NotificationStreamId = "Notification stream",
    ScriptId = "Script",
    ScriptSecretId = "Script secret",
    DeliveryId = "Delivery",
    UserId = "User",
    SessionId = "Session",
    TokenId = "Token",
    TeamId = "Team",
}

/// A run under its name of page 003.
#[derive(Clone, Copy, Debug)]
pub struct LogId(pub BackupRunId);

impl PathId for LogId {
    const THING: &'static str = "Backup task log";
    fn from_number(number: i64) -> Self {
        Self(BackupRunId(number))
    }
}

/// The `{id}` of the path.
pub struct Id<T>(pub T);

impl<T: PathId> FromRequestParts<ApiState> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found(T::THING))?;
        params
            .iter()
            .find(|(name, _)| *name == "id")
            .and_then(|(_, text)| parse(text))
            .map(|number| Self(T::from_number(number)))
            .ok_or_else(|| Problem::not_found(T::THING))
    }
}

fn parse(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.len() <= 16 && text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten().filter(|id| *id <= MAX_ID)
}

/// 404 for a row that is not there, or not this team's: the caller cannot tell which, and neither can the client.
pub fn found<T: PathId, R>(row: Option<R>) -> Result<R, Problem> {
    row.ok_or_else(|| Problem::not_found(T::THING))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_numbers_are_ids() {
        for bad in ["", "1.7", "1e0", "-1", "+1", " 1", "0x1", "99999999999999999999", "9007199254740992", "١"] {
            assert_eq!(super::parse(bad), None, "{bad:?}");
        }
        assert_eq!(super::parse("9007199254740991"), Some(super::MAX_ID));
        assert_eq!(super::parse("007"), Some(7));
    }
}
