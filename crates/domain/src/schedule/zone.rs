//! Local time to instant, by one rule.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Reads a zone's name of the IANA database.
#[must_use]
pub fn parse_zone(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// An instant as people read it: `2026-11-30 02:00 (Europe/Berlin)`; in UTC where `zone` is none.
#[must_use]
pub fn local_time(at: DateTime<Utc>, zone: &str) -> String {
    match parse_zone(zone) {
        Some(zone) => format!("{} ({})", at.with_timezone(&zone).format("%Y-%m-%d %H:%M"), zone.name()),
        None => format!("{} (UTC)", at.format("%Y-%m-%d %H:%M")),
    }
}

/// The instant of a local time: the first of two where it exists twice; the first instant after the gap where it does
/// not exist. None only beyond the years that chrono knows.
#[must_use]
pub fn instant_of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => end_of_gap(local, zone),
    }
}

/// The clock jumps over `local`: searches the instant of the jump, to the second. No offset is further from UTC than
/// 26 hours together, so the jump lies within that distance.
fn end_of_gap(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let mut before = local.and_utc().checked_sub_signed(TimeDelta::hours(26))?;
    let mut after = local.and_utc().checked_add_signed(TimeDelta::hours(26))?;
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if middle.with_timezone(&zone).naive_local() > local {
            after = middle;
        } else {
            before = middle;
        }
    }
    Some(after)
}
