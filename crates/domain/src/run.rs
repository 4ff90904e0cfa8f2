//! The states of a run or restore. A transition consumes the old state, so a final one cannot change.

use serde::{Deserialize, Serialize};

/// States on the wire and in the tables (`backup_runs.status`, `restores.status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a worker or for its next attempt.
    Queued,
    /// A worker holds the lease and moves bytes.
    Running,
    /// Everything is written; it is being read back.
    Verifying,
    /// All is well.
    Succeeded,
    /// The backup is whole except for what its warnings name.
    SucceededWithWarnings,
    /// Some of several destinations failed.
    Partial,
    /// There is no backup.
    Failed,
    /// Somebody asked it to stop.
    Cancelled,
    /// Not started because another run of the task was active.
    Skipped,
    /// Its time passed while nothing could run it.
    Missed,
}

/// A transition that does not exist was asked for.
#[derive(Debug, thiserror::Error)]
#[error("a {from:?} run cannot become {to:?}")]
pub struct InvalidTransition {
    /// The state it is in.
    pub from: RunStatus,
    /// The state that was asked for.
    pub to: RunStatus,
}

impl RunStatus {
    /// All states.
    pub const ALL: [RunStatus; 10] = [
        Self::Queued,
        Self::Running,
        Self::Verifying,
        Self::Succeeded,
        Self::SucceededWithWarnings,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
        Self::Skipped,
        Self::Missed,
    ];

    /// The wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::SucceededWithWarnings => "succeeded_with_warnings",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }

    /// Whether nothing more can happen to it.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Verifying)
    }

    /// Whether a restorable backup came of it.
    #[must_use]
    pub fn has_backup(self) -> bool {
        matches!(self, Self::Succeeded | Self::SucceededWithWarnings | Self::Partial)
    }

    /// The state after `self`, if that step exists.
    ///
    /// # Errors
    /// [`InvalidTransition`] when `to` cannot follow.
    pub fn into_next(self, to: RunStatus) -> Result<RunStatus, InvalidTransition> {
        use RunStatus::{
            Cancelled, Failed, Missed, Partial, Queued, Running, Skipped, Succeeded, SucceededWithWarnings, Verifying,
        };
        let allowed = match self {
            Queued => matches!(to, Running | Cancelled | Failed | Skipped | Missed),
            // Running → Running: a new attempt took over an expired lease.
            Running => matches!(to, Running | Verifying | Queued | Failed | Cancelled),
            Verifying => {
                matches!(to, Running | Queued | Succeeded | SucceededWithWarnings | Partial | Failed | Cancelled)
            }
            _ => false,
        };
        if allowed { Ok(to) } else { Err(InvalidTransition { from: self, to }) }
    }
}

impl std::str::FromStr for RunStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// The text names no state: a row that violates our own rules.
#[derive(Debug, thiserror::Error)]
#[error("unknown run status {0:?}")]
pub struct UnknownStatus(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_never_changes() {
        for from in RunStatus::ALL.into_iter().filter(|s| s.is_final()) {
            for to in RunStatus::ALL {
                assert!(from.into_next(to).is_err(), "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn success_is_reached_only_from_verifying() {
        for from in RunStatus::ALL {
            for to in RunStatus::ALL.into_iter().filter(|s| s.has_backup()) {
                assert_eq!(from.into_next(to).is_ok(), from == RunStatus::Verifying, "{from:?} → {to:?}");
            }
        }
    }
}
