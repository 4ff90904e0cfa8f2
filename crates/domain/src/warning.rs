//! What was not as it should be without making the backup useless.

use serde::{Deserialize, Serialize};

/// How many warnings a run keeps in full; all are counted.
pub const WARNINGS_KEPT: usize = 200;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// It could not be read.
    Unreadable,
    /// It disappeared between listing and reading.
    Vanished,
    /// It changed while it was read.
    Changed,
    /// It shrank while it was read: the stored file is padded with zeros and is not the original.
    Shrunk,
    /// Sockets and the like.
    NotStored,
    /// The backup is much smaller than those before it.
    SizeDropped,
    /// An excluded name matches nothing.
    MatchesNothing,
    /// Something depends on what is excluded, and a restore leaves it out.
    DependsOnExcluded,
    /// A part of the database that this user may not read.
    RightMissing,
    /// A script ended badly, and the run went on.
    ScriptFailed,
    /// Something was set otherwise than asked for (an owner, an attribute).
    NotRestored,
    /// Something was made harmless (a device, a set-user-id bit).
    Defused,
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub code: WarningCode,
    /// The file, as the source named it; printable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// One sentence.
    pub message: String,
}

/// Warnings with a bound: the first [`WARNINGS_KEPT`] in full, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warnings {
    /// The first ones.
    pub kept: Vec<Warning>,
    /// All of them.
    pub count: u64,
}

impl Warnings {
    /// Counts `warning`, and keeps it while there is room.
    pub fn push(&mut self, warning: Warning) {
        self.count += 1;
        if self.kept.len() < WARNINGS_KEPT {
            self.kept.push(warning);
        }
    }

    /// Adds those of `more` after the ones that are here.
    pub fn append(&mut self, more: &Warnings) {
        self.count += more.count;
        let room = WARNINGS_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(more.kept.iter().take(room).cloned());
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
