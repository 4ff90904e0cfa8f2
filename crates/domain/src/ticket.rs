//! What a ticket lets the api ask of a worker's data plane. A ticket is single use and lives for a minute.

use crate::ids::{BackupDestinationId, BackupId, NotificationStreamId, OwnBackupId, RemoteServerId, ScriptId};
use crate::script::ParameterValues;
use crate::source::EngineChoice;
use serde::{Deserialize, Serialize};

/// The data plane's one route: what is done stands in the ticket, so that no ticket opens another route's action.
pub const DATA_PLANE_PATH: &str = "/act";

/// The request header that carries the ticket's secret.
pub const TICKET_HEADER: &str = "x-holdfast-ticket";

/// The answer header with the SHA-256 of the whole object (lower-case hexadecimal), where it is known.
pub const SHA256_HEADER: &str = "x-holdfast-sha256";

/// How the data plane says no: the api repeats `code` and `message` with the answer's own status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPlaneProblem {
    /// Stable snake_case code.
    pub code: String,
    /// One sentence for the user.
    pub message: String,
}

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
    /// Room at a destination.
    BackupDestinationUsage {
        /// Which.
        id: BackupDestinationId,
    },
    /// Send a test message.
    TestNotificationStream {
        /// Over which stream.
        id: NotificationStreamId,
    },
    /// Run a script once, outside of any run.
    TestScript {
        /// Which.
        id: ScriptId,
        /// Where.
        remote_server_id: RemoteServerId,
        /// Values by the names of its parameters; secrets by their names.
        parameters: ParameterValues,
    },
    /// Databases that a log-in on a server can see.
    ListDatabases {
        /// Which server.
        id: RemoteServerId,
        /// Whose databases.
        engine: EngineChoice,
        /// Where they are, seen from the server; none = there.
        host: Option<String>,
        /// Their port.
        port: Option<u16>,
        /// Their user; none = the one of the connection.
        username: Option<String>,
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
    /// The bytes of a copy of the product's own database.
    DownloadOwnBackup {
        /// Which.
        id: OwnBackupId,
        /// Where it is kept.
        destination: BackupDestinationId,
    },
    /// Remove such a copy and its row.
    DeleteOwnBackup {
        /// Which.
        id: OwnBackupId,
        /// Where it is kept.
        destination: BackupDestinationId,
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
