//! When a task runs: a rule, and a zone that turns local times into instants. Pure: the present comes in as an argument,
//! and the same arguments give the same answer on every worker.
//!
//! Around a change of the clock: a local time that does not exist that day runs at the first instant after the gap; one
//! that exists twice runs the first time. So a daily task runs exactly once each local day. Hours and intervals are counted
//! as they pass. docs/manual/schedules.md says it to users.
//!
//! A *slot* is a time that the rule names, and what a run is known by. Its *start* is when it is queued: the slot, and with
//! `jitter_secs` a while later, which is the same for the same slot however often it is asked.

mod cron;
mod due;
mod parts;
mod rule;
mod zone;

pub use cron::{CronProblem, UnixCron};
pub use due::{Due, Facts, LateRule, Made, Outcome, Owed, Step};
pub use parts::{CatchUp, Frequency, TimeOfDay, Window, human_secs};
pub use rule::INTERVAL_MAX_SECS;
pub use zone::{instant_of, local_time, parse_zone};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;
use rule::Rule;

/// Runs that tell how often a schedule runs: a day of one that runs every minute of some hour.
const LOOKED_AT: u32 = 100;
/// Slots outside the window that are passed over before a schedule counts as one that never runs: more than eight years of
/// days.
const PASSED_OVER_MAX: u32 = 3_000;
/// The longest spread of starts.
pub const JITTER_MAX_SECS: i32 = 86_400;

/// Why a definition is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleProblem {
    /// Not one of those there are.
    #[error("the frequency must be hourly, daily, weekly, monthly, interval, custom or manual")]
    UnknownFrequency,
    /// Not `HH:MM`.
    #[error("the time must be HH:MM from 00:00 to 23:59")]
    NotATimeOfDay,
    /// Daily, weekly or monthly without a time.
    #[error("a daily, weekly or monthly task needs a time of day")]
    TimeMissing,
    /// Not a minute.
    #[error("the minute must be from 0 to 59")]
    NotAMinute,
    /// Weekly without a weekday.
    #[error("a weekly task needs a weekday from 0 (Sunday) to 6 (Saturday)")]
    WeekdayMissing,
    /// Monthly without a day.
    #[error("a monthly task needs a day of the month from 1 to 31")]
    MonthDayMissing,
    /// An interval without its length.
    #[error("an interval must be whole minutes, from 60 seconds to 366 days")]
    IntervalMissing,
    /// Custom without an expression.
    #[error("a custom schedule needs a cron expression")]
    CronMissing,
    /// One end of a window without the other.
    #[error("a window needs both its ends")]
    HalfWindow,
    /// A window without any time in it.
    #[error("a window must begin and end at different times")]
    EmptyWindow,
    /// No such zone.
    #[error("the time zone must be a name of the IANA database, as Europe/Berlin")]
    UnknownZone,
    /// The expression is no cron.
    #[error(transparent)]
    Cron(#[from] CronProblem),
}

/// A task's schedule as it is stored: the columns of `backup_tasks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// `weekdays`; empty = `weekday` alone.
    pub weekdays: &'a [i16],
    /// `minute` of the hour; none = 0.
    pub minute: Option<i16>,
    /// `month_day`: 1 … 31; a month without it has its last day.
    pub month_day: Option<i16>,
    /// `interval_secs`: whole minutes.
    pub interval_secs: Option<i32>,
    /// `interval_from`: the first slot of an interval.
    pub interval_from: Option<DateTime<Utc>>,
    /// `window_from`: the first time of day at which a run may begin.
    pub window_from: Option<&'a str>,
    /// `window_until`: the first at which none may any more.
    pub window_until: Option<&'a str>,
    /// `jitter_secs`: how long after its slot a run may be queued.
    pub jitter_secs: i32,
}

/// A rule, the zone it is meant in, the window it holds in and the spread of its starts.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    zone: Tz,
    window: Option<Window>,
    jitter: TimeDelta,
}

impl Schedule {
    /// Reads the stored columns; columns that the frequency does not use are ignored.
    ///
    /// # Errors
    /// See [`ScheduleProblem`].
    pub fn from_columns(columns: &ScheduleColumns<'_>) -> Result<Self, ScheduleProblem> {
        let zone = columns.timezone.map_or(Ok(Tz::UTC), |name| parse_zone(name).ok_or(ScheduleProblem::UnknownZone))?;
        let rule = Rule::read(columns)?;
        let window = Window::read(columns.window_from, columns.window_until)?;
        Ok(Self { rule, zone, window, jitter: parts::seconds(columns.jitter_secs.min(JITTER_MAX_SECS)) })
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Whether it runs by hand alone.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.rule, Rule::Manual)
    }

    /// The first slot strictly after `now`; none for manual tasks, and where none comes within eight years of days.
    #[must_use]
    pub fn next_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.rule.walks_instants() { self.next_instant(now) } else { self.next_mapped(now) }
    }

    fn next_instant(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut after = now;
        for _ in 0..PASSED_OVER_MAX {
            let at = self.rule.next_instant(after, self.zone)?;
            let Some(opening) = self.closed_until(at.with_timezone(&self.zone).naive_local()) else { return Some(at) };
            // Strictly after: a slot that is the opening itself must be found again.
            after = at.max(instant_of(opening, self.zone)? - TimeDelta::seconds(1));
        }
        None
    }

    fn next_mapped(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = now.with_timezone(&self.zone).naive_local();
        let mut passed_over = 0;
        // The second pass through a repeated hour holds local times that already ran; and a local time in a gap runs
        // after it, when `now` may have been reached: both are passed over.
        while passed_over < PASSED_OVER_MAX {
            local = self.rule.next_local(local)?;
            // The window is one of local times: a slot within it that falls into a gap is not lost.
            if let Some(opening) = self.closed_until(local) {
                local = local.max(opening - TimeDelta::seconds(1));
                passed_over += 1;
                continue;
            }
            let at = instant_of(local, self.zone)?;
            if at > now {
                return Some(at);
            }
        }
        None
    }

    /// When the window opens next, if it is closed at `local`.
    fn closed_until(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        self.window.as_ref().filter(|window| !window.holds(local)).and_then(|window| window.opening_after(local))
    }

    /// When the window opens next, if it is closed at `at`.
    fn opening_from(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let window = self.window.as_ref()?;
        let local = at.with_timezone(&self.zone).naive_local();
        if window.holds(local) {
            return None;
        }
        // A window that opens in a repeated hour does so the first time, which may have been.
        instant_of(window.opening_after(local)?, self.zone).filter(|opening| *opening > at)
    }

    /// When the window that is open at `at` closes; none where it is closed or there is none.
    fn closing_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let window = self.window.as_ref()?;
        let local = at.with_timezone(&self.zone).naive_local();
        let closing = window.holds(local).then(|| window.closing_after(local)).flatten()?;
        instant_of(closing, self.zone).filter(|closing| *closing > at)
    }

    /// The least time between two of the next runs as the clock on the wall counts it: a change of the clocks makes no
    /// schedule too frequent. None where there are not two.
    #[must_use]
    pub fn shortest_gap(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        if let Rule::Interval { every, .. } = self.rule {
            return Some(every);
        }
        let steady = Self { zone: Tz::UTC, ..self.clone() };
        let mut at = steady.next_after(now)?;
        let mut shortest = None;
        for _ in 0..LOOKED_AT {
            let Some(next) = steady.next_after(at) else { break };
            shortest = Some(shortest.map_or(next - at, |gap: TimeDelta| gap.min(next - at)));
            at = next;
        }
        shortest
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

#[cfg(test)]
#[path = "schedule/slots_tests.rs"]
mod slots_tests;
