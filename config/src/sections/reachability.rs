//! `reachability`: looking at servers and destinations on a schedule.

use crate::reader::Reader;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReachabilityConfig {
    /// How often each of them is looked at; none: never.
    pub watch_interval: Option<Duration>,
}

impl ReachabilityConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = Duration::from_secs_f64;
        let interval = reader.within("reachability.watch_interval_secs", secs(0.0)..=secs(604_800.0))?;
        Some(Self { watch_interval: (!interval.is_zero()).then_some(interval) })
    }
}
