//! `schedule`: how often tasks may run, and what becomes of due times that nothing could run.

use crate::reader::Reader;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// No task runs more often by itself.
    pub min_interval: Duration,
    /// Until so long after its start a run is on time.
    pub late_after: Duration,
    /// Over so long what is made up for is spread.
    pub spread: Duration,
}

impl ScheduleConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = Duration::from_secs_f64;
        let min_interval = reader.within("schedule.min_interval_secs", secs(60.0)..=secs(86_400.0));
        let late_after = reader.within("schedule.late_after_secs", secs(10.0)..=secs(86_400.0));
        let spread = reader.within("schedule.spread_secs", secs(0.0)..=secs(86_400.0));
        Some(Self { min_interval: min_interval?, late_after: late_after?, spread: spread? })
    }
}
