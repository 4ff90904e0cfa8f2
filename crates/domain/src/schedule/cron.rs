//! Unix cron: five fields, Sunday as 0 or 7, names, lists, ranges, steps; where both days are restricted, either is
//! enough. The fields are read here, because libraries differ in exactly these points; the `cron` crate walks the
//! calendar over plain local times.

use chrono::{DateTime, NaiveDateTime, Utc};
use std::collections::BTreeSet;
use std::fmt::Write;

const MAX_BYTES: usize = 255;
const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// In a leap year: a day that no year has never comes.
const DAYS_OF_MONTH: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronProblem {
    /// Not five fields.
    #[error("a cron expression has five fields (minute hour day-of-month month day-of-week); this one has {0}")]
    FieldCount(usize),
    /// Longer than any that makes sense.
    #[error("a cron expression may have at most {MAX_BYTES} bytes")]
    TooLong,
    /// A field that cannot be read.
    #[error(
        "the {field} field of the cron expression must be *, numbers from {low} to {high}{names}, lists, ranges or steps (*/n, a-b/n)"
    )]
    Field {
        /// Which.
        field: &'static str,
        /// The lowest number.
        low: u32,
        /// The highest number.
        high: u32,
        /// ` or names` where the field has names.
        names: &'static str,
    },
    /// No calendar has such a day.
    #[error("the cron expression names a day that no month of it has; it would never run")]
    NeverFires,
}

struct FieldKind {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names from the lowest number up.
    names: &'static [&'static str],
}

const FIELDS: [FieldKind; 5] = [
    FieldKind { name: "minute", low: 0, high: 59, names: &[] },
    FieldKind { name: "hour", low: 0, high: 23, names: &[] },
    FieldKind { name: "day-of-month", low: 1, high: 31, names: &[] },
    FieldKind { name: "month", low: 1, high: 12, names: MONTHS },
    FieldKind { name: "day-of-week", low: 0, high: 7, names: DAYS },
];

/// A valid expression that fires.
#[derive(Clone, Debug)]
pub struct UnixCron {
    text: String,
    /// One, or two where either of two kinds of day is enough.
    either: Vec<cron::Schedule>,
}

impl UnixCron {
    /// Reads an expression.
    ///
    /// # Errors
    /// See [`CronProblem`].
    pub fn parse(text: &str) -> Result<Self, CronProblem> {
        if text.len() > MAX_BYTES {
            return Err(CronProblem::TooLong);
        }
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return Err(CronProblem::FieldCount(parts.len())) };
        let [minutes, hours, days, months] =
            [(minute, 0), (hour, 1), (day, 2), (month, 3)].map(|(part, at)| parse_field(part, &FIELDS[at]));
        let (minutes, hours, days, months) = (minutes?, hours?, days?, months?);
        let weekdays: BTreeSet<u32> = parse_field(weekday, &FIELDS[4])?.into_iter().map(|day| day % 7).collect();
        let head = format!("0 {} {}", numbers(&minutes), numbers(&hours));
        let by_day = format!("{head} {} {}", numbers(&days), numbers(&months));
        let by_weekday = format!("{} {} *", numbers(&months), names(&weekdays));
        let day_exists = days.iter().any(|day| months.iter().any(|month| *day <= days_of(*month)));
        // As in crontab(5): a field that begins with a star restricts nothing, and then both must hold.
        let is_either = !day.starts_with('*') && !weekday.starts_with('*');
        let texts = match (is_either, day_exists) {
            (true, true) => vec![format!("{by_day} * *"), format!("{head} * {by_weekday}")],
            (true, false) => vec![format!("{head} * {by_weekday}")],
            (false, true) => vec![format!("{head} {} {by_weekday}", numbers(&days))],
            (false, false) => return Err(CronProblem::NeverFires),
        };
        let either = texts.iter().map(|t| t.parse().expect("lists of numbers and names are cron's own form")).collect();
        Ok(Self { text: parts.join(" "), either })
    }

    /// The expression with single blanks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first local time strictly after `after`; none beyond the year 2100.
    pub(super) fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // UTC only carries the local time: it has no gaps, so the calendar is walked as it stands on the wall.
        let carrier: DateTime<Utc> = after.and_utc();
        self.either.iter().filter_map(|schedule| schedule.after(&carrier).next()).min().map(|at| at.naive_utc())
    }
}

fn parse_field(text: &str, kind: &FieldKind) -> Result<BTreeSet<u32>, CronProblem> {
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        values.extend(parse_part(part, kind).ok_or(CronProblem::Field {
            field: kind.name,
            low: kind.low,
            high: kind.high,
            names: if kind.names.is_empty() { "" } else { " or names" },
        })?);
    }
    Ok(values)
}

/// `*`, `*/n`, `a`, `a-b`, `a-b/n`. A step after a single number means different things to different crons: refused.
fn parse_part(part: &str, kind: &FieldKind) -> Option<impl Iterator<Item = u32> + use<>> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(number(step)?)),
        None => (part, None),
    };
    let (first, last) = if range == "*" {
        // Sunday counts once: 0, and not also 7.
        (kind.low, if kind.high == 7 { 6 } else { kind.high })
    } else if let Some((first, last)) = range.split_once('-') {
        (value(first, kind)?, value(last, kind)?)
    } else {
        let only = value(range, kind)?;
        if step.is_some() {
            return None;
        }
        (only, only)
    };
    // `sat-sun`: the name of Sunday is 0 and closes a range as 7.
    let last = if last == 0 && first > 0 && kind.high == 7 && !range.ends_with('0') { 7 } else { last };
    let step = step.unwrap_or(1);
    if first > last || step == 0 {
        return None;
    }
    Some((first..=last).step_by(usize::try_from(step).ok()?))
}

fn value(text: &str, kind: &FieldKind) -> Option<u32> {
    let named = kind.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let value = match named {
        Some(at) => kind.low + u32::try_from(at).ok()?,
        None => number(text)?,
    };
    (kind.low..=kind.high).contains(&value).then_some(value)
}

/// One to three digits; `+5` and the empty text are none.
fn number(text: &str) -> Option<u32> {
    let is_number = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn days_of(month: u32) -> u32 {
    usize::try_from(month).ok().and_then(|at| DAYS_OF_MONTH.get(at - 1)).copied().unwrap_or(0)
}

fn numbers(values: &BTreeSet<u32>) -> String {
    join(values.iter().map(u32::to_string))
}

/// Names, because the library counts Sunday as 1.
fn names(weekdays: &BTreeSet<u32>) -> String {
    join(weekdays.iter().filter_map(|day| DAYS.get(usize::try_from(*day).ok()?)).map(|name| (*name).to_owned()))
}

fn join(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |mut text, item| {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{item}");
        text
    })
}
