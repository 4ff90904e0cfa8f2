//! What a restore is asked to do, as stored in `restores.spec`.

use serde::{Deserialize, Serialize};

/// Where and how to give data back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreSpec {
    /// Absolute path on the target server.
    pub path: String,
    /// Stream names; empty = all.
    #[serde(default)]
    pub streams: Vec<String>,
    /// Absolute paths as they were on the source; empty = all. A folder means all below it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// How the paths lie below `path`.
    #[serde(default)]
    pub layout: RestoreLayout,
    /// What to do with what exists.
    #[serde(default)]
    pub existing: ExistingPolicy,
    /// Set owners; needs root there.
    #[serde(default)]
    pub restore_owners: bool,
    /// Do everything except write to the target.
    #[serde(default)]
    pub dry_run: bool,
}

/// How the restored paths lie below the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreLayout {
    /// `/new` + `/var/www/a` = `/new/var/www/a`.
    #[default]
    KeepPath,
    /// The content of each top path straight into the target: `/new/a`.
    ContentsOnly,
}

/// What to do with what exists at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingPolicy {
    /// The target must not exist (or be an empty folder).
    #[default]
    Refuse,
    /// What exists stays.
    Skip,
    /// What exists is replaced.
    Overwrite,
}
