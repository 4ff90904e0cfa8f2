//! What a ticket lets the api ask of a worker's data plane. A ticket is single use and lives for a minute.

use crate::ids::{BackupDestinationId, BackupId, RemoteServerId};
use serde::{Deserialize, Serialize};

/// One act on one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum TicketAction {
    /// Connect, compare the host key, log in, look for the tools.
    CheckRemoteServer {
        /// Which.
        id: RemoteServerId,
    },
    /// Write, read back, delete.
    CheckBackupDestination {
        /// Which.
        id: BackupDestinationId,
    },
    /// Entries of a backup below a folder, from the index.
    ListFiles {
        /// Which.
        id: BackupId,
        /// Stream name; none = the only one.
        stream: Option<String>,
        /// Folder; none = the top.
        path: Option<String>,
        /// Entries to skip.
        offset: u64,
        /// Entries to return.
        limit: u64,
    },
    /// Bytes of one stream.
    Download {
        /// Which.
        id: BackupId,
        /// Stream name; none = the only one.
        stream: Option<String>,
        /// As stored, or decrypted.
        form: DownloadForm,
    },
}

/// What a download delivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownloadForm {
    /// The exact object.
    #[default]
    Stored,
    /// Decrypted, still compressed.
    Archive,
}
