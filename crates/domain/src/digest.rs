//! When the weekly digest is due: Monday at 08:00 where the person lives, whatever the clock there does meanwhile. Pure.

use crate::schedule::{Schedule, ScheduleColumns, instant_of};
use chrono::{DateTime, Days, TimeDelta, Utc};
use chrono_tz::Tz;

const TIME: &str = "08:00";
/// Monday, as `backup_tasks.weekday` counts.
const WEEKDAY: i16 = 1;
/// No zone is further from another than 26 hours: whoever moves on a Monday gets no second digest that week.
const APART_DAYS: i64 = 5;

/// The first due time after `now` in `zone`; not in the week of `last`, the due time of the last digest. None only beyond
/// the years that chrono knows.
#[must_use]
pub fn next_after(now: DateTime<Utc>, zone: Tz, last: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let columns = ScheduleColumns {
        frequency: "weekly",
        time_to_run_at: Some(TIME),
        timezone: Some(zone.name()),
        weekday: Some(WEEKDAY),
        ..ScheduleColumns::default()
    };
    let free = last.and_then(|last| last.checked_add_signed(TimeDelta::days(APART_DAYS)));
    Schedule::from_columns(&columns).ok()?.next_after(free.map_or(now, |free| now.max(free)))
}

/// Where the week begins that a digest due at `due` tells of: seven days earlier at the same time of day.
#[must_use]
pub fn begins(due: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let local = due.with_timezone(&zone).naive_local();
    let earlier = local.checked_sub_days(Days::new(7)).and_then(|local| instant_of(local, zone));
    earlier.unwrap_or(due - TimeDelta::days(7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike, Timelike, Weekday};
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn it_is_eight_on_both_sides_of_a_change_of_the_clock() {
        let berlin = Tz::Europe__Berlin;
        let winter = next_after(at("2026-03-22T12:00:00Z"), berlin, None).expect("a time");
        assert_eq!(winter, at("2026-03-23T07:00:00Z"));
        let summer = next_after(winter, berlin, Some(winter)).expect("a time");
        assert_eq!(summer, at("2026-03-30T06:00:00Z"));
        assert_eq!(begins(summer, berlin), winter);
    }

    #[test]
    fn who_moves_or_switches_on_a_monday_gets_no_second_one_that_week() {
        let last = at("2026-03-22T18:00:00Z");
        assert_eq!(next_after(at("2026-03-22T10:00:00Z"), Tz::Pacific__Kiritimati, None), Some(last));
        let moved = next_after(at("2026-03-22T19:00:00Z"), Tz::Pacific__Honolulu, Some(last));
        assert_eq!(moved, Some(at("2026-03-30T18:00:00Z")));
        assert_eq!(next_after(last, Tz::Pacific__Kiritimati, Some(last)), Some(at("2026-03-29T18:00:00Z")));
    }

    proptest! {
        /// In every zone, over years of clock changes: each Monday once, and in the morning.
        #[test]
        fn every_monday_has_one(zone in 0..chrono_tz::TZ_VARIANTS.len(), start in 0_i64..2_000_000_000) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let mut due = next_after(DateTime::from_timestamp(start, 0).expect("a time"), zone, None).expect("a time");
            for _ in 0..60 {
                let local = due.with_timezone(&zone);
                prop_assert_eq!((local.weekday(), local.hour()), (Weekday::Mon, 8), "{}", local);
                let next = next_after(due, zone, Some(due)).expect("a time");
                let days = (next.with_timezone(&zone).date_naive() - local.date_naive()).num_days();
                prop_assert_eq!(days, 7, "{} {}", local, next);
                prop_assert!((begins(next, zone) - due).num_hours().abs() < 26);
                due = next;
            }
        }
    }
}
