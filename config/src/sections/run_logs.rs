//! `run_logs`: how long logs of runs are kept.

use crate::reader::Reader;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLogsConfig {
    /// A log goes so long after its run ended; 0 = never for its age.
    pub max_age: Duration,
    /// What the logs of one team may take, the oldest goes first; 0 = any amount.
    pub team_max_bytes: u64,
}

impl RunLogsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let max_age = reader.within("run_logs.max_age_secs", Duration::ZERO..=Duration::from_secs(315_360_000));
        let team_max_bytes = reader.within("run_logs.team_max_bytes", 0..=1_125_899_906_842_624);
        Some(Self { max_age: max_age?, team_max_bytes: team_max_bytes? })
    }
}
