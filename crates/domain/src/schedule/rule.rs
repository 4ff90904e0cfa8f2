//! The rule of a schedule: which local times, or which instants, it names. Rules over the calendar walk local time, as it
//! stands on the wall; hours and intervals pass whatever the clocks do, and walk instants.

use super::parts::{Frequency, TimeOfDay, seconds};
use super::{ScheduleColumns, ScheduleProblem, UnixCron, weekday_of};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// The shortest interval, and what all are multiples of: a due time is a whole minute.
const MINUTE_SECS: i32 = 60;
/// The longest interval.
pub const INTERVAL_MAX_SECS: i32 = 366 * 86_400;

#[derive(Clone, Debug)]
pub(super) enum Rule {
    Hourly { minute: u32 },
    Daily(TimeOfDay),
    Weekly(Vec<Weekday>, TimeOfDay),
    Monthly { day: u32, time: TimeOfDay },
    Interval { every: TimeDelta, from: DateTime<Utc> },
    Custom(UnixCron),
    Manual,
}

impl Rule {
    pub(super) fn read(columns: &ScheduleColumns<'_>) -> Result<Self, ScheduleProblem> {
        let time = || columns.time_to_run_at.ok_or(ScheduleProblem::TimeMissing)?.parse();
        Ok(match columns.frequency.parse()? {
            Frequency::Hourly => {
                let minute = u32::try_from(columns.minute.unwrap_or(0)).ok().filter(|minute| *minute < 60);
                Self::Hourly { minute: minute.ok_or(ScheduleProblem::NotAMinute)? }
            }
            Frequency::Daily => Self::Daily(time()?),
            Frequency::Weekly => Self::Weekly(weekdays(columns)?, time()?),
            Frequency::Monthly => {
                let day =
                    columns.month_day.and_then(|day| u32::try_from(day).ok()).filter(|day| (1..=31).contains(day));
                Self::Monthly { day: day.ok_or(ScheduleProblem::MonthDayMissing)?, time: time()? }
            }
            Frequency::Interval => {
                let secs = columns.interval_secs.ok_or(ScheduleProblem::IntervalMissing)?;
                if secs % MINUTE_SECS != 0 || !(MINUTE_SECS..=INTERVAL_MAX_SECS).contains(&secs) {
                    return Err(ScheduleProblem::IntervalMissing);
                }
                let from = columns.interval_from.ok_or(ScheduleProblem::IntervalMissing)?;
                Self::Interval { every: seconds(secs), from }
            }
            Frequency::Custom => {
                Self::Custom(UnixCron::parse(columns.custom_cron.ok_or(ScheduleProblem::CronMissing)?)?)
            }
            Frequency::Manual => Self::Manual,
        })
    }

    /// Whether it names instants, and not local times.
    pub(super) fn walks_instants(&self) -> bool {
        matches!(self, Self::Hourly { .. } | Self::Interval { .. })
    }

    /// The first instant strictly after `after`, of a rule that names instants.
    pub(super) fn next_instant(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Hourly { minute } => {
                let hour = hour_of(after);
                let this = in_hour(hour, *minute, zone);
                if this > after { Some(this) } else { Some(in_hour(hour + TimeDelta::hours(1), *minute, zone)) }
            }
            Self::Interval { every, from } => {
                if after < *from {
                    return Some(*from);
                }
                let passed = (after - *from).num_seconds() / every.num_seconds() + 1;
                from.checked_add_signed(TimeDelta::seconds(passed.checked_mul(every.num_seconds())?))
            }
            _ => None,
        }
    }

    /// The first local time strictly after `after`, of a rule that names local times.
    pub(super) fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Self::Daily(time) => next_day(after, *time, |_| true),
            Self::Weekly(days, time) => next_day(after, *time, |date| days.contains(&date.weekday())),
            Self::Monthly { day, time } => {
                let this = after.date().with_day(1)?;
                [this, this.checked_add_months(Months::new(1))?]
                    .into_iter()
                    .filter_map(|month| Some(day_of(month, *day)?.and_time(time.to_naive())))
                    .find(|local| *local > after)
            }
            Self::Custom(cron) => cron.next_local(after),
            Self::Hourly { .. } | Self::Interval { .. } | Self::Manual => None,
        }
    }
}

/// Of `weekdays`, and where that is empty, `weekday`.
fn weekdays(columns: &ScheduleColumns<'_>) -> Result<Vec<Weekday>, ScheduleProblem> {
    let numbers = if columns.weekdays.is_empty() { columns.weekday.as_slice() } else { columns.weekdays };
    let days: Option<Vec<Weekday>> = numbers.iter().map(|number| weekday_of(*number)).collect();
    days.filter(|days| !days.is_empty()).ok_or(ScheduleProblem::WeekdayMissing)
}

fn next_day(after: NaiveDateTime, time: TimeOfDay, is_one: impl Fn(NaiveDate) -> bool) -> Option<NaiveDateTime> {
    (0..=7)
        .filter_map(|days| after.date().checked_add_days(Days::new(days)))
        .filter(|date| is_one(*date))
        .map(|date| date.and_time(time.to_naive()))
        .find(|local| *local > after)
}

/// The day of a month, and the month's last where it has no such day: once a month means each month.
fn day_of(month: NaiveDate, day: u32) -> Option<NaiveDate> {
    (28..=day.max(28)).rev().find_map(|last| month.with_day(day.min(last)))
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::seconds(at.timestamp().rem_euclid(3_600))
        - TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos()))
}

/// The instant within the hour that begins at `hour` at which the zone's clocks, as they went when the hour began, show
/// `minute`: one in each hour that passes, in zones that are half an hour apart too.
fn in_hour(hour: DateTime<Utc>, minute: u32, zone: Tz) -> DateTime<Utc> {
    let offset = i64::from(zone.offset_from_utc_datetime(&hour.naive_utc()).fix().local_minus_utc());
    hour + TimeDelta::seconds((i64::from(minute) * 60 - offset).rem_euclid(3_600))
}
