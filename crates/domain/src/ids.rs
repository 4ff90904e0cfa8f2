//! Typed ids. An id of one table cannot be passed where another's is wanted.
//!
//! Integers below 2^53 on the wire (page 003), `bigint` in Postgres.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A tenant.
    TeamId,
    /// A person.
    UserId,
    /// An API token.
    TokenId,
    /// A host reached by SSH.
    RemoteServerId,
    /// Where bytes go.
    BackupDestinationId,
    /// The definition of what is backed up.
    BackupTaskId,
    /// One execution of a task.
    BackupRunId,
    /// A restore point.
    BackupId,
    /// One part of a backup with its own end proof.
    BackupStreamId,
    /// A backup at one destination.
    BackupCopyId,
    /// Giving data back.
    RestoreId,
    /// A copy of the product's own database.
    OwnBackupId,
    /// A word that groups tasks.
    TagId,
    /// A channel over which people are told.
    NotificationStreamId,
    /// A team's command before or after a backup.
    ScriptId,
    /// A secret that scripts are given by its name.
    ScriptSecretId,
    /// One message on its way.
    DeliveryId,
    /// A log-in of the page.
    SessionId,
    /// A mail about an account.
    AccountMailId,
}
