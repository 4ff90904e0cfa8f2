//! Putting a file tree back.

use bytes::Bytes;
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout};
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::collections::BTreeMap;

/// Where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTarget {
    /// Absolute path on the server.
    pub path: String,
    /// What to do with what exists.
    pub existing: ExistingPolicy,
    /// How the paths lie below `path`.
    pub layout: RestoreLayout,
    /// For `contents_only`: the absolute source paths whose content goes straight into the target (the selected paths, or
    /// the task's top paths for a whole restore).
    pub top_paths: Vec<String>,
    /// Set owners; needs root there.
    pub restore_owners: bool,
    /// How many entries the stream will carry, if known: compared before anything is moved into place.
    pub expected_entries: Option<u64>,
    /// Do everything except move into place.
    pub dry_run: bool,
}

/// What was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Entries moved into place (or staged, for a dry run).
    pub entries: u64,
    /// Of these, regular files.
    pub files: u64,
    /// Bytes in the regular files.
    pub size_bytes: u64,
    /// Entries that were left as they were (`existing = skip`).
    pub skipped: u64,
    /// What was set otherwise than asked for, or made harmless.
    pub warnings: Warnings,
    /// Tools there.
    pub tools: BTreeMap<String, String>,
}

/// Prepares the staging folder beside the target.
///
/// # Errors
/// `target_exists`, `target_unwritable`, `missing_tool`, `invalid_config`, and what the connection can say.
pub async fn open(_session: Session, _target: &RestoreTarget) -> Result<FilesWriter, Failure> {
    Err(Failure::new(Step::Stage, FailureCode::Internal, "being written"))
}

/// A tar stream being unpacked.
pub struct FilesWriter {}

impl FilesWriter {
    /// Takes the next bytes of the tar stream; returns when they are accepted.
    ///
    /// # Errors
    /// The program there failed or the connection did; the staging folder is then removed there.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), Failure> {
        Err(Failure::new(Step::Stage, FailureCode::Internal, "being written"))
    }

    /// Says that the stream is whole, checks what was unpacked and moves it into place.
    ///
    /// # Errors
    /// `restore_incomplete`, `target_exists`, `target_unwritable`, and what the connection can say.
    pub async fn finish(self) -> Result<RestoreReport, Failure> {
        Err(Failure::new(Step::Place, FailureCode::Internal, "being written"))
    }

    /// Removes the staging folder; whether a check there saw that nothing runs any more.
    pub async fn abort(self) -> bool {
        false
    }
}
