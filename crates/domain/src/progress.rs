//! How far a run or restore is. Values never go backwards within an attempt; the final ones are written in the
//! statement that ends the run.

use serde::{Deserialize, Serialize};

/// Counters of `backup_runs.progress` and `restores.progress`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Plain bytes read from the source (or written to the target).
    #[serde(default)]
    pub original_size: u64,
    /// What `original_size` is expected to reach: the previous run's, else unknown.
    #[serde(default)]
    pub total_expected_size: Option<u64>,
    /// Bytes after compression.
    #[serde(default)]
    pub compressed_size: u64,
    /// Bytes stored at each destination.
    #[serde(default)]
    pub stored_size: u64,
    /// Entries seen.
    #[serde(default)]
    pub nfiles: u64,
    /// The entry being read; printable.
    #[serde(default)]
    pub current_file: Option<String>,
    /// Over the last seconds.
    #[serde(default)]
    pub bytes_per_second: u64,
    /// Per destination.
    #[serde(default)]
    pub destinations: Vec<DestinationProgress>,
}

/// One destination's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationProgress {
    /// `backup_destinations.id`.
    pub backup_destination_id: i64,
    /// Bytes it has taken.
    pub stored_size: u64,
    /// `writing`, `verifying`, `committed`, `failed`.
    pub state: String,
}

impl Progress {
    /// 0..=100, and 100 only when it is over; none while the total is unknown.
    #[must_use]
    pub fn percent(&self, is_over: bool) -> Option<u8> {
        if is_over {
            return Some(100);
        }
        let total = self.total_expected_size.filter(|t| *t > 0)?;
        let percent = (u128::from(self.original_size) * 100 / u128::from(total)).min(99);
        u8::try_from(percent).ok()
    }

    /// Seconds left at the present speed, if it can be told.
    #[must_use]
    pub fn secs_remaining(&self) -> Option<u64> {
        let left = self.total_expected_size?.checked_sub(self.original_size)?;
        (self.bytes_per_second > 0).then(|| left / self.bytes_per_second)
    }
}
