//! What a server has of what we need, for `POST remote-servers/{id}/check`.

use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::collections::BTreeMap;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerProbe {
    /// `uname -sr`.
    pub system: String,
    /// The user we are there.
    pub username: String,
    /// Whether that user is root.
    pub is_root: bool,
    /// Tools that were found, `tar` → `tar (GNU tar) 1.34`.
    pub tools: BTreeMap<String, String>,
    /// Tools that a backup of files needs and that are missing.
    pub missing: Vec<String>,
}

/// Asks the server.
///
/// # Errors
/// What the connection can say; a missing tool is no error here.
pub async fn check(_session: &mut Session) -> Result<ServerProbe, Failure> {
    Err(Failure::new(Step::Start, FailureCode::Internal, "being written"))
}
