//! How far a run, a restore or a copy is. Values never go backwards: a new attempt begins again from nothing, and until it has
//! passed what an earlier one reached, that is what is shown. The final ones are written in the statement that ends the run,
//! and of a success they are those of the attempt that succeeded.

use serde::{Deserialize, Serialize};

/// Counters of `backup_runs.progress` and `restores.progress`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Plain bytes read from the source (or written to the target).
    #[serde(default)]
    pub original_size: u64,
    /// What the present attempt has read, where an earlier one was before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_original_size: Option<u64>,
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

    /// Seconds left at the present speed, if it can be told. The present attempt has all of it to do.
    #[must_use]
    pub fn secs_remaining(&self) -> Option<u64> {
        let done = self.attempt_original_size.unwrap_or(self.original_size);
        let left = self.total_expected_size?.checked_sub(done)?;
        (self.bytes_per_second > 0).then(|| left / self.bytes_per_second)
    }

    /// What is shown of an attempt whose own figures these are, after earlier ones that came as far as `floor`.
    #[must_use]
    pub fn raised_to(mut self, floor: &Progress) -> Progress {
        if floor.original_size == 0 {
            return self;
        }
        self.attempt_original_size = Some(self.original_size);
        self.original_size = self.original_size.max(floor.original_size);
        self.compressed_size = self.compressed_size.max(floor.compressed_size);
        self.stored_size = self.stored_size.max(floor.stored_size);
        self.nfiles = self.nfiles.max(floor.nfiles);
        self.total_expected_size = self.total_expected_size.max(floor.total_expected_size);
        for before in &floor.destinations {
            match self.destinations.iter_mut().find(|now| now.backup_destination_id == before.backup_destination_id) {
                Some(now) => now.stored_size = now.stored_size.max(before.stored_size),
                None => self.destinations.push(before.clone()),
            }
        }
        self.destinations.sort_by_key(|destination| destination.backup_destination_id);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(original_size: u64, stored_size: u64) -> Progress {
        let destination = DestinationProgress { backup_destination_id: 1, stored_size, state: "writing".to_owned() };
        Progress {
            original_size,
            stored_size,
            total_expected_size: Some(1_000),
            bytes_per_second: 100,
            destinations: vec![destination],
            ..Progress::default()
        }
    }

    #[test]
    fn a_new_attempt_takes_nothing_back_and_has_all_of_it_to_do() {
        let floor = at(400, 200);
        let mut shown = Vec::new();
        for now in [Progress::default(), at(0, 0), at(300, 150), at(500, 250)] {
            shown.push(now.raised_to(&floor));
        }
        let sizes: Vec<u64> = shown.iter().map(|p| p.original_size).collect();
        assert_eq!(sizes, [400, 400, 400, 500]);
        assert!(shown.iter().all(|p| p.stored_size >= 200 && p.destinations[0].stored_size >= 200));
        assert!(shown.iter().all(|p| p.percent(false) >= Some(40)));
        assert_eq!(shown[2].secs_remaining(), Some(7), "700 of 1,000 are to be read again and anew");
        assert_eq!(at(300, 150).raised_to(&Progress::default()), at(300, 150), "the first attempt is as it is");
    }
}
