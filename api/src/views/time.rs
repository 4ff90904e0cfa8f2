//! Instants on the wire: RFC 3339, UTC, whole seconds, `Z`; local ones as `YYYY-MM-DD HH:MM:SS`.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

/// `2024-08-07T01:00:00Z`
#[must_use]
pub fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// As [`utc`].
#[must_use]
pub fn utc_or_null(at: Option<DateTime<Utc>>) -> Option<String> {
    at.map(utc)
}

/// `2024-08-06 21:00:00`
#[must_use]
pub fn local(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A stored zone; one that this version's table no longer has counts as UTC.
#[must_use]
pub fn zone(name: &str) -> Tz {
    holdfast_domain::schedule::parse_zone(name).unwrap_or(Tz::UTC)
}
