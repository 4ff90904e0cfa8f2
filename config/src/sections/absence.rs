//! `absence`: the alarm on a success that did not come.

use crate::reader::Reader;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsenceConfig {
    /// How late a success may be, where the task does not say.
    pub grace: Duration,
    /// How often each process looks.
    pub watch_interval: Duration,
}

impl AbsenceConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = Duration::from_secs_f64;
        let grace = reader.within("absence.grace_secs", secs(0.0)..=secs(2_592_000.0));
        let watch_interval = reader.within("absence.watch_interval_secs", secs(0.1)..=secs(3_600.0));
        Some(Self { grace: grace?, watch_interval: watch_interval? })
    }
}
