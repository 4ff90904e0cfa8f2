//! When a task runs: a rule over local time, and a zone that turns local times into instants. Pure: the present comes
//! in as an argument, and the same arguments give the same answer on every worker.
//!
//! Around a change of the clock: a local time that does not exist that day runs at the first instant after the gap; one
//! that exists twice runs the first time. So a daily task runs exactly once each local day.

mod cron;
mod zone;

pub use cron::{CronProblem, UnixCron};
pub use zone::{instant_of, local_time, parse_zone};

use chrono::{DateTime, Datelike, Days, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Runs that tell how often a schedule runs: a day of one that runs every minute of some hour.
const LOOKED_AT: u32 = 100;

/// `backup_tasks.frequency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// Every day at a time of day.
    Daily,
    /// Every week on a weekday at a time of day.
    Weekly,
    /// By a cron expression.
    Custom,
    /// Only when asked.
    Manual,
}

impl Frequency {
    /// All of them.
    pub const ALL: [Frequency; 4] = [Self::Daily, Self::Weekly, Self::Custom, Self::Manual];

    /// The stored and wire form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Custom => "custom",
            Self::Manual => "manual",
        }
    }
}

impl std::str::FromStr for Frequency {
    type Err = ScheduleProblem;

    fn from_str(text: &str) -> Result<Self, ScheduleProblem> {
        Self::ALL.into_iter().find(|f| f.as_str() == text).ok_or(ScheduleProblem::UnknownFrequency)
    }
}

/// A time of day, `HH:MM` with two digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u32,
    minute: u32,
}

impl TimeOfDay {
    fn of(time: &impl Timelike) -> Self {
        Self { hour: time.hour(), minute: time.minute() }
    }

    fn to_naive(self) -> NaiveTime {
        NaiveTime::from_hms_opt(self.hour, self.minute, 0).expect("checked when it was made")
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl std::str::FromStr for TimeOfDay {
    type Err = ScheduleProblem;

    fn from_str(text: &str) -> Result<Self, ScheduleProblem> {
        let digit = |b: u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
        let [h1, h2, b':', m1, m2] = *text.as_bytes() else { return Err(ScheduleProblem::NotATimeOfDay) };
        let number = |tens, ones| Some(digit(tens)? * 10 + digit(ones)?);
        match (number(h1, h2), number(m1, m2)) {
            (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(Self { hour, minute }),
            _ => Err(ScheduleProblem::NotATimeOfDay),
        }
    }
}

/// Why a definition is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleProblem {
    /// Not one of the four.
    #[error("the frequency must be daily, weekly, custom or manual")]
    UnknownFrequency,
    /// Not `HH:MM`.
    #[error("the time must be HH:MM from 00:00 to 23:59")]
    NotATimeOfDay,
    /// Daily or weekly without a time.
    #[error("a daily or weekly task needs a time of day")]
    TimeMissing,
    /// Weekly without a weekday.
    #[error("a weekly task needs a weekday from 0 (Sunday) to 6 (Saturday)")]
    WeekdayMissing,
    /// Custom without an expression.
    #[error("a custom schedule needs a cron expression")]
    CronMissing,
    /// No such zone.
    #[error("the time zone must be a name of the IANA database, as Europe/Berlin")]
    UnknownZone,
    /// The expression is no cron.
    #[error(transparent)]
    Cron(#[from] CronProblem),
}

/// A task's schedule as it is stored: the columns of `backup_tasks`.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleColumns<'a> {
    /// `frequency`
    pub frequency: &'a str,
    /// `time_to_run_at`: local to `timezone`.
    pub time_to_run_at: Option<&'a str>,
    /// `custom_cron`
    pub custom_cron: Option<&'a str>,
    /// `timezone`; none = UTC.
    pub timezone: Option<&'a str>,
    /// `weekday`: 0 = Sunday … 6 = Saturday.
    pub weekday: Option<i16>,
}

/// A rule and the zone it is meant in.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
}

#[derive(Clone, Debug)]
enum Rule {
    Daily(TimeOfDay),
    Weekly(Weekday, TimeOfDay),
    Custom(UnixCron),
    Manual,
}

impl Schedule {
    /// Reads the stored columns; columns that the frequency does not use are ignored.
    ///
    /// # Errors
    /// See [`ScheduleProblem`].
    pub fn from_columns(columns: &ScheduleColumns<'_>) -> Result<Self, ScheduleProblem> {
        let zone = columns.timezone.map_or(Ok(Tz::UTC), |name| parse_zone(name).ok_or(ScheduleProblem::UnknownZone))?;
        let time = || columns.time_to_run_at.ok_or(ScheduleProblem::TimeMissing)?.parse();
        let rule = match columns.frequency.parse()? {
            Frequency::Daily => Rule::Daily(time()?),
            Frequency::Weekly => {
                let weekday = columns.weekday.and_then(weekday_of).ok_or(ScheduleProblem::WeekdayMissing)?;
                Rule::Weekly(weekday, time()?)
            }
            Frequency::Custom => {
                Rule::Custom(UnixCron::parse(columns.custom_cron.ok_or(ScheduleProblem::CronMissing)?)?)
            }
            Frequency::Manual => Rule::Manual,
        };
        Ok(Self { rule, zone })
    }

    /// The first time strictly after `now`; none for manual tasks.
    #[must_use]
    pub fn next_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = now.with_timezone(&self.zone).naive_local();
        // The second pass through a repeated hour holds local times that already ran; and a local time in a gap runs
        // after it, when `now` may have been reached: both are passed over.
        loop {
            local = self.next_local(local)?;
            let at = instant_of(local, self.zone)?;
            if at > now {
                return Some(at);
            }
        }
    }

    /// The least time between two of the next runs; none where there are not two.
    #[must_use]
    pub fn shortest_gap(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let mut at = self.next_after(now)?;
        let mut shortest = None;
        for _ in 0..LOOKED_AT {
            let Some(next) = self.next_after(at) else { break };
            shortest = Some(shortest.map_or(next - at, |gap: TimeDelta| gap.min(next - at)));
            at = next;
        }
        shortest
    }

    /// The first local time of the rule strictly after `after`.
    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let (time, weekday) = match &self.rule {
            Rule::Daily(time) => (time, None),
            Rule::Weekly(weekday, time) => (time, Some(*weekday)),
            Rule::Custom(cron) => return cron.next_local(after),
            Rule::Manual => return None,
        };
        (0..=7)
            .filter_map(|days| after.date().checked_add_days(Days::new(days)))
            .filter(|date| weekday.is_none_or(|wanted| date.weekday() == wanted))
            .map(|date| date.and_time(time.to_naive()))
            .find(|local| *local > after)
    }
}

/// 0 = Sunday … 6 = Saturday, as in `backup_tasks.weekday` and in cron.
#[must_use]
pub fn weekday_of(number: i16) -> Option<Weekday> {
    let days = [Weekday::Sun, Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat];
    usize::try_from(number).ok().and_then(|at| days.get(at)).copied()
}

/// The weekday of `now` in `zone`, 0 = Sunday: what a weekly task gets that names none.
#[must_use]
pub fn weekday_in(now: DateTime<Utc>, zone: Tz) -> i16 {
    let days = now.with_timezone(&zone).weekday().num_days_from_sunday();
    i16::try_from(days).unwrap_or_default()
}

/// A time of day as page 003 shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownTimes {
    /// `scheduled_utc_time`
    pub utc: TimeOfDay,
    /// `scheduled_local_time`: in the user's zone.
    pub local: TimeOfDay,
}

/// Converts a task's time of day with today's offsets (so the shown times move with daylight saving, as on that page).
#[must_use]
pub fn shown_times(at: TimeOfDay, task_zone: Tz, user_zone: Tz, now: DateTime<Utc>) -> ShownTimes {
    let today = now.with_timezone(&task_zone).date_naive().and_time(at.to_naive());
    let instant = instant_of(today, task_zone).unwrap_or(now);
    ShownTimes { utc: TimeOfDay::of(&instant), local: TimeOfDay::of(&instant.with_timezone(&user_zone)) }
}

#[cfg(test)]
#[path = "schedule/tests.rs"]
mod tests;
