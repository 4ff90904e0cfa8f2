//! `limits`: what a team may have unless those who run the installation say otherwise for it.

use crate::reader::Reader;

/// Names and numbers; 0 = no limit. See `default.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsConfig(Vec<(&'static str, u64)>);

/// Each with the most that can be set.
const KEYS: [(&str, u64); 12] = [
    ("members", 1_000_000),
    ("remote_servers", 1_000_000),
    ("backup_destinations", 1_000_000),
    ("backup_tasks", 1_000_000),
    ("notification_streams", 1_000_000),
    ("scripts", 1_000_000),
    ("script_secrets", 1_000_000),
    ("tokens", 1_000_000),
    ("runs_at_once", 1_000_000),
    ("min_interval_secs", 31_536_000),
    ("stored_bytes", 9_007_199_254_740_991),
    ("notifications_per_hour", 1_000_000),
];

impl LimitsConfig {
    /// The limits by their names on the wire.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        // Every key is read before the first error ends it.
        let read: Vec<_> = KEYS.map(|(key, most)| (key, reader.within(&format!("limits.{key}"), 0..=most))).into();
        read.into_iter().map(|(key, number)| Some((key, number?))).collect::<Option<_>>().map(Self)
    }
}
