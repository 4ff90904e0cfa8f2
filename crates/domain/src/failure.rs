//! The one error that reaches a user as the reason of a failed run, restore or check: where it happened, what
//! happened and what to do. It must never carry a secret or a peer's unbounded text.

use serde::{Deserialize, Serialize};

/// Longest detail kept of what a peer said; the rest is cut.
const DETAIL_MAX_CHARS: usize = 500;

/// Where in a run, restore or check something happened. The text form is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading the definition and its secrets.
    Prepare,
    /// Resolving, vetting and connecting.
    Connect,
    /// Comparing the host key.
    HostKey,
    /// Logging in.
    Authenticate,
    /// A script before or after the backup.
    Script,
    /// Starting the program on the server.
    Start,
    /// Reading the source and writing the destinations.
    Stream,
    /// The source's own end proof.
    FinishSource,
    /// Completing the objects.
    FinishDestination,
    /// Reading back.
    Verify,
    /// Manifest and state.
    Commit,
    /// Reading a copy for a restore or download.
    ReadCopy,
    /// Unpacking into the staging folder.
    Stage,
    /// Moving the staged tree into place and checking the effect.
    Place,
}

macro_rules! failure_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, retry = $retry:literal, $advice:literal;)+) => {
        /// Why it failed: stable codes of `error_code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[$doc])* #[serde(rename = $text)] $name),+
        }

        impl FailureCode {
            /// Every code, for the documentation.
            pub const ALL: &'static [FailureCode] = &[$(FailureCode::$name),+];

            /// The wire form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(FailureCode::$name => $text),+ }
            }

            /// What the user can do about it.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(FailureCode::$name => $advice),+ }
            }

            /// Whether another attempt can end better without anybody changing something.
            #[must_use]
            pub fn is_transient(self) -> bool {
                match self { $(FailureCode::$name => $retry),+ }
            }
        }
    };
}

failure_codes! {
    /// The name has no address.
    ServerUnknown = "server_unknown", retry = true, "Check the server's host name.";
    /// The address may not be reached from here.
    BlockedEgress = "blocked_egress", retry = false, "The address is private, local or reserved; the operator can allow its range with `egress.allow`.";
    /// No TCP connection.
    ConnectFailed = "connect_failed", retry = true, "Check that the server is up and that its SSH port is reachable from the workers.";
    /// The SSH handshake did not end well.
    HandshakeFailed = "handshake_failed", retry = true, "Check that the port speaks SSH with current algorithms.";
    /// The server's key is not confirmed yet.
    HostKeyUnconfirmed = "host_key_unconfirmed", retry = false, "Compare the fingerprint of `GET /api/remote-servers/{id}/host-key` with the server's and confirm it with `POST /api/remote-servers/{id}/host-key/accept`.";
    /// The server's key is another one than the pinned one.
    HostKeyChanged = "host_key_changed", retry = false, "Nothing was sent. If the server was reinstalled, confirm the new key with `POST /api/remote-servers/{id}/host-key/accept`; otherwise somebody may be in between.";
    /// The server refused key or password.
    AuthenticationFailed = "authentication_failed", retry = false, "Put the line of `GET /api/ssh-key` into the user's authorized_keys, or correct the server's password or key.";
    /// A program is missing on the server.
    MissingTool = "missing_tool", retry = false, "Install the named program on the server.";
    /// A path to be read does not exist.
    MissingPath = "missing_path", retry = false, "Correct the task's paths, or create the path on the server.";
    /// There was nothing to read.
    EmptySource = "empty_source", retry = false, "Nothing could be read from the task's paths; check paths, excludes and the user's rights.";
    /// The connection ended before the program did.
    ConnectionLost = "connection_lost", retry = true, "The connection to the server broke; another attempt follows if any is left.";
    /// Nothing came for too long.
    Stalled = "stalled", retry = true, "The server or the network stopped answering.";
    /// No database server answers there.
    DatabaseUnreachable = "database_unreachable", retry = true, "Check that the database server runs, and the task's engine, host and port as seen from the server.";
    /// The database server refuses user or password.
    DatabaseLoginFailed = "database_login_failed", retry = false, "Correct the task's or the server's database user and password.";
    /// A database is not there.
    MissingDatabase = "missing_database", retry = false, "Correct the database's name; `GET /api/remote-servers/{id}/databases` lists those that can be seen.";
    /// The database user may not do what is needed.
    MissingRight = "missing_right", retry = false, "Grant the named right; the manual lists the rights that each engine needs.";
    /// The client programs are older than the database server.
    ClientTooOld = "client_too_old", retry = false, "Install client programs at least as new as the database server.";
    /// The client program there can be made to run shell commands by a dump.
    ClientUnsafe = "client_unsafe", retry = false, "Install a newer client there, or restore to another server.";
    /// A restore into something that existed broke off.
    TargetIncomplete = "target_incomplete", retry = false, "The target database holds a part of the backup: restore again, into a new one if you can.";
    /// A script before the backup ended badly, or took too long.
    ScriptFailed = "script_failed", retry = false, "Its output is in the run's log; try it with `POST /api/scripts/{id}/test`. With `on_failure` `warn` or `continue` the run goes on without it.";
    /// The source program ended badly.
    SourceFailed = "source_failed", retry = true, "See the run's log for what the program on the server said.";
    /// The source's data did not carry its end mark.
    SourceIncomplete = "source_incomplete", retry = true, "The data ended early; see the run's log.";
    /// No space at the destination.
    DestinationFull = "destination_full", retry = true, "Make room at the destination; nothing older was deleted to make room.";
    /// The destination refused or failed.
    DestinationFailed = "destination_failed", retry = true, "Check the destination with `POST /api/backup-destinations/{id}/check`.";
    /// This kind of destination does not take backups yet.
    DestinationUnsupported = "destination_unsupported", retry = false, "Use a destination of another type.";
    /// No worker holds the store.
    StoreOffline = "store_offline", retry = true, "The operator must set `destinations.local_root` on a worker and start it.";
    /// What was read back is not what was written.
    VerifyFailed = "verify_failed", retry = true, "The destination changed or lost bytes; the copy was not committed. Check its disk.";
    /// The destination refuses our keys.
    DestinationRefused = "destination_refused", retry = false, "Check the destination's keys, their rights and expiry, and its region; the manual lists the rights that are needed.";
    /// The bucket is not there.
    DestinationMissing = "destination_missing", retry = false, "Create the bucket, or correct its name, region or endpoint.";
    /// Less room than the backup is expected to need.
    LowSpace = "low_space", retry = false, "Nothing was started. Make room at the destination or lower what is kept; nothing older was deleted to make room.";
    /// The copy is not there or not whole.
    CopyDamaged = "copy_damaged", retry = false, "Restore from another copy or another backup, and check the destination.";
    /// The manifest's authentication failed.
    ManifestInvalid = "manifest_invalid", retry = false, "The manifest was changed after it was written; do not trust this copy.";
    /// The password does not open the backup.
    WrongPassword = "wrong_password", retry = false, "Give the password that the task had when the backup was made.";
    /// Only the team's own keys open it.
    RecipientsOnly = "recipients_only", retry = false, "Only the holders of its recipients' keys can read this backup: download it as stored and open it with `age`.";
    /// A wanted path is not in the backup.
    PathNotInBackup = "path_not_in_backup", retry = false, "Nothing was restored. Look the paths up with `GET /api/backups/{id}/files`.";
    /// The target exists and may not be changed.
    TargetExists = "target_exists", retry = false, "Choose a path that does not exist, or say what to do with what exists (`existing`) and `confirm` it.";
    /// The target cannot be written.
    TargetUnwritable = "target_unwritable", retry = false, "Check that the user may write the target's parent folder and that it has room.";
    /// What arrived is not what was sent.
    RestoreIncomplete = "restore_incomplete", retry = false, "The target was left untouched, or the log says what is in place; run the restore again.";
    /// A stored definition is not acceptable.
    InvalidConfig = "invalid_config", retry = false, "Save the task, server or destination again.";
    /// The team, task, server or destination may not be used any more.
    NotAuthorised = "not_authorised", retry = false, "The definition was removed or suspended before the run started.";
    /// A secret could not be opened.
    SecretUnavailable = "secret_unavailable", retry = false, "The operator must check the worker's key file; or enter the secret again.";
    /// Every attempt ended without a result.
    Abandoned = "abandoned", retry = false, "Every attempt lost its worker; the operator should look at the workers' logs.";
    /// Another worker took over.
    LeaseLost = "lease_lost", retry = true, "Another worker goes on with it.";
    /// Asked for.
    Cancelled = "cancelled", retry = false, "It was cancelled.";
    /// It took longer than allowed.
    TimedOut = "timed_out", retry = false, "Raise the limit or make the source smaller.";
    /// No worker may read the whole of the product's own database.
    OwnDatabaseClosed = "own_database_closed", retry = false, "The operator must give the workers a log-in that reads the whole database (DATABASE_COPY_URL), or use `holdfast admin backup`.";
    /// The product's own database could not be copied.
    OwnDatabaseFailed = "own_database_failed", retry = true, "Look at the worker's log and ask for another copy.";
    /// Our own fault.
    Internal = "internal", retry = true, "This is a fault of Holdfast; the operator's log has the details.";
}

/// Why and where something failed, as a user reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{}: {detail} {}", step_text(*step), code.advice())]
pub struct Failure {
    /// Where.
    pub step: Step,
    /// What.
    pub code: FailureCode,
    /// One sentence about this case, printable and bounded.
    pub detail: String,
}

impl Failure {
    /// A failure at `step`; `detail` is cleaned of control characters and cut at 500 characters.
    pub fn new(step: Step, code: FailureCode, detail: impl AsRef<str>) -> Self {
        Self { step, code, detail: printable(detail.as_ref(), DETAIL_MAX_CHARS) }
    }
}

/// `text` without control and bidirectional characters, at most `max_chars` long. For everything a peer said.
#[must_use]
pub fn printable(text: &str, max_chars: usize) -> String {
    let mut out: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c })
        .take(max_chars)
        .collect();
    if text.trim().chars().nth(max_chars).is_some() {
        out.push('…');
    }
    out
}

/// Characters that reorder the text around them (Unicode 15, Bidi_Control).
#[must_use]
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn step_text(step: Step) -> &'static str {
    match step {
        Step::Prepare => "While preparing",
        Step::Connect => "While connecting",
        Step::HostKey => "While checking the host key",
        Step::Authenticate => "While logging in",
        Step::Script => "While running a script",
        Step::Start => "While starting the program on the server",
        Step::Stream => "While streaming",
        Step::FinishSource => "While finishing the source",
        Step::FinishDestination => "While finishing the destination",
        Step::Verify => "While verifying",
        Step::Commit => "While committing",
        Step::ReadCopy => "While reading the copy",
        Step::Stage => "While unpacking",
        Step::Place => "While moving into place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_step_the_case_and_what_to_do() {
        let failure = Failure::new(Step::Connect, FailureCode::ConnectFailed, "10.0.0.1:22 refused the connection.");
        assert_eq!(
            failure.to_string(),
            "While connecting: 10.0.0.1:22 refused the connection. Check that the server is up and that its SSH port \
             is reachable from the workers."
        );
    }

    #[test]
    fn a_peers_text_is_bounded_and_printable() {
        let failure =
            Failure::new(Step::Stream, FailureCode::SourceFailed, format!("a\u{1b}[2J\u{202e}{}", "x".repeat(9000)));
        assert!(failure.detail.chars().count() <= 501);
        assert!(!failure.detail.contains('\u{1b}') && !failure.detail.contains('\u{202e}'));
    }
}
