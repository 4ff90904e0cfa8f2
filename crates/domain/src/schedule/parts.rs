//! The words a schedule is made of.

use super::ScheduleProblem;
use chrono::{Days, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `backup_tasks.frequency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frequency {
    /// Once in each hour that passes, at a minute of it.
    Hourly,
    /// Every day at a time of day.
    Daily,
    /// Every week on one or several weekdays at a time of day.
    Weekly,
    /// Every month on a day of it at a time of day.
    Monthly,
    /// Again and again after so many seconds, whatever the clocks do.
    Interval,
    /// By a cron expression.
    Custom,
    /// Only when asked.
    Manual,
}

impl Frequency {
    /// All of them.
    pub const ALL: [Frequency; 7] =
        [Self::Daily, Self::Weekly, Self::Custom, Self::Manual, Self::Hourly, Self::Monthly, Self::Interval];

    /// The stored and wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Interval => "interval",
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

/// `backup_tasks.catch_up`: what becomes of due times that passed while nothing could run them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// One run makes up for all of them, at once.
    #[default]
    Once,
    /// One run makes up for all of them, some time later: not everything that was missed begins together.
    Spread,
    /// Nothing makes up for them: each is recorded as missed.
    Skip,
}

impl CatchUp {
    /// All of them.
    pub const ALL: [CatchUp; 3] = [Self::Once, Self::Spread, Self::Skip];

    /// The stored and wire form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Spread => "spread",
            Self::Skip => "skip",
        }
    }

    /// The one with this wire form; what a newer version wrote is read as the default.
    #[must_use]
    pub fn of_stored(text: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == text).unwrap_or_default()
    }
}

/// A time of day, `HH:MM` with two digits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    hour: u32,
    minute: u32,
}

impl TimeOfDay {
    pub(super) fn of(time: &impl Timelike) -> Self {
        Self { hour: time.hour(), minute: time.minute() }
    }

    pub(super) fn to_naive(self) -> NaiveTime {
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

/// The part of each day in which runs may begin: from the first time, and before the second. May cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: TimeOfDay,
    until: TimeOfDay,
}

impl Window {
    /// Of two times of day; neither = no window.
    pub(super) fn read(from: Option<&str>, until: Option<&str>) -> Result<Option<Self>, ScheduleProblem> {
        let (from, until) = match (from, until) {
            (None, None) => return Ok(None),
            (Some(from), Some(until)) => (from.parse()?, until.parse()?),
            _ => return Err(ScheduleProblem::HalfWindow),
        };
        if from == until { Err(ScheduleProblem::EmptyWindow) } else { Ok(Some(Self { from, until })) }
    }

    pub(super) fn holds(&self, local: NaiveDateTime) -> bool {
        let time = TimeOfDay::of(&local);
        if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        }
    }

    /// The first time strictly after `local` at which it opens.
    pub(super) fn opening_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        next_at(self.from, local)
    }

    /// The first time strictly after `local` at which it closes.
    pub(super) fn closing_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        next_at(self.until, local)
    }
}

fn next_at(time: TimeOfDay, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let today = after.date().and_time(time.to_naive());
    if today > after { Some(today) } else { today.checked_add_days(Days::new(1)) }
}

/// How often something runs at least apart, for people: `90 s`, `5 min`, `1 h`, `1 d`.
#[must_use]
pub fn human_secs(secs: i64) -> String {
    match secs {
        secs if secs != 0 && secs % 86_400 == 0 => format!("{} d", secs / 86_400),
        secs if secs != 0 && secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs if secs != 0 && secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}

/// A number of seconds as a span; one that no calendar has is none.
pub(super) fn seconds(secs: i32) -> TimeDelta {
    TimeDelta::seconds(i64::from(secs.max(0)))
}
