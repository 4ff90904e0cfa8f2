//! The description of a backup, written last: what makes a copy exist. It is the only thing a restore trusts, so it
//! carries an authentication code under the team's key (computed by `vault`); a listing proves nothing.

use crate::source::{EncryptionMode, Engine, SourceSpec};
use crate::warning::Warnings;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The only version there is; another one is refused.
pub const MANIFEST_VERSION: u32 = 1;

/// Everything needed to find, check and understand a backup without the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// `teams.uuid`.
    pub team_uuid: uuid::Uuid,
    /// `backup_tasks.id`.
    pub backup_task_id: i64,
    /// What the task was called.
    pub task_label: String,
    /// `backup_runs.id`.
    pub backup_run_id: i64,
    /// `backup_runs.ulid`.
    pub run_ulid: String,
    /// The attempt that committed.
    pub epoch: i32,
    /// The source program was started.
    pub started_at: DateTime<Utc>,
    /// The source program had ended well.
    pub finished_at: DateTime<Utc>,
    /// `user@host:port`.
    pub origin: String,
    /// What was read.
    pub source: SourceSpec,
    /// How it is encrypted.
    pub encryption: EncryptionMode,
    /// age recipients it is encrypted to.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// What the tools there said of themselves, `tar` → `tar (GNU tar) 1.34`.
    pub tools: BTreeMap<String, String>,
    /// Its parts.
    pub streams: Vec<ManifestStream>,
    /// What was not as it should be.
    pub warnings: Warnings,
    /// The product's version.
    pub holdfast: String,
}

/// One part of a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestStream {
    /// `tree`, a database's name, `globals`.
    pub name: String,
    /// `tar`, `sql`, `pgdump`.
    pub format: String,
    /// The source program's own exit status.
    pub exit_status: u32,
    /// Before compression.
    pub original: Digest,
    /// As stored; of the whole stream, over all its objects.
    pub stored: Digest,
    /// Entries in it.
    pub nfiles: u64,
    /// Objects in order, names relative to the copy's folder.
    pub objects: Vec<ManifestObject>,
    /// The index sidecar, where the stream has one.
    #[serde(default)]
    pub index: Option<ManifestObject>,
    /// What is known of the database, where the stream is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseFacts>,
}

/// What a restore must know of a dumped database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Whose dump it is.
    pub engine: Engine,
    /// What the server called itself, `10.11.19-MariaDB`.
    pub server_version: String,
    /// Base tables in the dump.
    pub tables: u64,
    /// How the database was made, in the engine's own words (`encoding`, `collate`, …): what a new one needs to be like it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Roles that own something in it or were granted something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// What was left out, and what a restore must leave out because of it.
    #[serde(default)]
    pub omitted: Vec<Omitted>,
}

/// Something of the database that is not in the dump, or that a restore cannot make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// What it is.
    pub kind: OmittedKind,
    /// Schema, where the engine has them within a database.
    #[serde(default)]
    pub schema: Option<String>,
    /// Its name; of a foreign key, `table.constraint` is told apart by [`Omitted::table`].
    pub name: String,
    /// The table that a foreign key belongs to.
    #[serde(default)]
    pub table: Option<String>,
    /// Its catalogue and number there, where the engine numbers its objects: found in the dump whatever it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue_id: Option<(u32, u32)>,
}

/// What was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OmittedKind {
    /// A table, definition and rows, because the task excludes it.
    Table,
    /// A table's rows, because the task excludes them.
    Rows,
    /// A view that needs an excluded table.
    View,
    /// A foreign key to an excluded table, or to one whose rows are excluded.
    ForeignKey,
    /// Anything else that needs an excluded table: a rule, a policy, a function.
    Other,
}

/// Size and content proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Bytes.
    pub size_bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// One stored object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// Its name at the destination.
    pub name: String,
    /// Size and content proof.
    #[serde(flatten)]
    pub digest: Digest,
}

/// The stored form: the manifest's exact bytes and their authentication code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedManifest {
    /// JSON of [`Manifest`], as text: what is authenticated is bytes, not a re-serialisation.
    pub manifest: String,
    /// Version of the team's `mac` key.
    pub key_version: i32,
    /// HMAC-SHA-256 over `manifest`, lower-case hexadecimal.
    pub hmac_sha256: String,
}
