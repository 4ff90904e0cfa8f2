//! From a body, and what a task has now, to when it runs. Notes what does not fit together; nothing here reads the
//! database.

use super::body::{Body, Sent};
use crate::validation::{Fields, texts};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use holdfast_domain::schedule::{CatchUp, Frequency, Schedule, ScheduleProblem, human_secs, parse_zone, weekday_in};
use holdfast_store::repositories::task_timing::TaskTiming;
use std::time::Duration;

const TIME: &str = "time_to_run_at";
const CRON: &str = "custom_cron_expression";

/// What the body makes of it. A cron expression wins over a time of day, as the peer has it; the frequency is then
/// `custom`. What the frequency has no use for is dropped.
pub(super) fn plan(body: &Body, sent: &Sent, stored: Option<TaskTiming>, now: DateTime<Utc>) -> TaskTiming {
    let stored = stored.unwrap_or_default();
    let names_other = body.frequency.as_deref().is_some_and(|name| name != Frequency::Custom.as_str());
    let custom_cron = if sent.has(CRON) || !names_other {
        sent.or_stored(CRON, body.custom_cron_expression.clone(), stored.custom_cron)
    } else {
        None
    };
    let frequency = frequency(body, stored.frequency, custom_cron.is_some());
    let is = |wanted: Frequency| frequency == wanted.as_str();
    let timezone = sent.or_stored("timezone", body.timezone.clone(), stored.timezone);
    let zone = timezone.as_deref().and_then(parse_zone).unwrap_or(Tz::UTC);
    let weekdays = if is(Frequency::Weekly) {
        weekdays(body, sent, stored.weekdays, stored.weekday).unwrap_or_else(|| vec![weekday_in(now, zone)])
    } else {
        Vec::new()
    };
    let minute = sent.or_stored("minute", small(body.minute), stored.minute).unwrap_or(0);
    let interval_secs = body.interval_secs.and_then(|secs| i32::try_from(secs).ok());
    let interval_from = sent.or_stored("interval_from", body.interval_from, stored.interval_from);
    let jitter_secs = body.jitter_secs.and_then(|secs| i32::try_from(secs).ok());
    let catch_up = body.catch_up.as_deref().map(CatchUp::of_stored);
    TaskTiming {
        time_to_run_at: sent.or_stored(TIME, body.time_to_run_at.clone(), stored.time_to_run_at),
        weekday: weekdays.first().copied(),
        minute: is(Frequency::Hourly).then_some(minute),
        month_day: sent
            .or_stored("month_day", small(body.month_day), stored.month_day)
            .filter(|_| is(Frequency::Monthly)),
        interval_secs: sent
            .or_stored("interval_secs", interval_secs, stored.interval_secs)
            .filter(|_| is(Frequency::Interval)),
        interval_from: is(Frequency::Interval).then(|| interval_from.unwrap_or_else(|| minute_of(now))),
        window_from: sent.or_stored("window_from", body.window_from.clone(), stored.window_from),
        window_until: sent.or_stored("window_until", body.window_until.clone(), stored.window_until),
        jitter_secs: sent.or_stored("jitter_secs", jitter_secs, Some(stored.jitter_secs)).unwrap_or(0),
        catch_up: sent.or_stored("catch_up", catch_up, Some(stored.catch_up)).unwrap_or_default(),
        weekdays,
        frequency,
        custom_cron,
        timezone,
    }
}

fn frequency(body: &Body, stored: String, has_cron: bool) -> String {
    let frequency = body.frequency.clone().unwrap_or(stored);
    match (frequency.as_str(), has_cron) {
        ("manual", _) => frequency,
        (_, true) => Frequency::Custom.as_str().to_owned(),
        // The expression was taken away and a time stays.
        ("custom", false) if body.frequency.is_none() => Frequency::Daily.as_str().to_owned(),
        _ => frequency,
    }
}

/// The list wins over the one, as with destinations. None where neither was ever given, or null takes it away.
fn weekdays(body: &Body, sent: &Sent, stored: Vec<i16>, stored_one: Option<i16>) -> Option<Vec<i16>> {
    if let Some(days) = &body.weekdays {
        let mut days: Vec<i16> = days.iter().filter_map(|day| i16::try_from(*day).ok()).collect();
        days.sort_unstable();
        return Some(days);
    }
    if sent.has("weekday") || sent.has("weekdays") {
        return small(body.weekday).map(|day| vec![day]);
    }
    if stored.is_empty() { stored_one.map(|day| vec![day]) } else { Some(stored) }
}

fn small(number: Option<i64>) -> Option<i16> {
    number.and_then(|number| i16::try_from(number).ok())
}

fn minute_of(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp() - at.timestamp().rem_euclid(60), 0).unwrap_or(at)
}

/// Notes what is missing, what would never run and what would run more often than every `least`. Nothing where the body
/// has an error in the field already.
pub(super) fn check(timing: &TaskTiming, fields: &mut Fields, now: DateTime<Utc>, least: Duration) -> Option<Schedule> {
    match timing.schedule() {
        Ok(schedule) => {
            check_slots(&schedule, timing, fields, now, least);
            Some(schedule)
        }
        Err(problem) => {
            note(problem, fields);
            None
        }
    }
}

fn note(problem: ScheduleProblem, fields: &mut Fields) {
    let required_when = |field, value| texts::required_when(field, "frequency", value);
    let (field, sentence) = match problem {
        ScheduleProblem::TimeMissing => (TIME, texts::required_without(TIME, CRON)),
        ScheduleProblem::CronMissing => (CRON, required_when(CRON, "custom")),
        ScheduleProblem::UnknownFrequency => ("frequency", texts::required("frequency")),
        ScheduleProblem::MonthDayMissing => ("month_day", required_when("month_day", "monthly")),
        ScheduleProblem::IntervalMissing => ("interval_secs", required_when("interval_secs", "interval")),
        ScheduleProblem::HalfWindow => ("window_until", texts::invalid("window_until", &problem)),
        ScheduleProblem::EmptyWindow => ("window_until", texts::invalid("window_until", &problem)),
        ScheduleProblem::UnknownZone => ("timezone", texts::invalid("timezone", &problem)),
        problem @ ScheduleProblem::Cron(_) => (CRON, texts::invalid(CRON, &problem)),
        problem => (TIME, texts::invalid(TIME, &problem)),
    };
    let is_told = fields.failed(field) || (field == CRON && fields.failed(TIME));
    if !is_told {
        fields.fail(field, sentence);
    }
}

fn check_slots(schedule: &Schedule, timing: &TaskTiming, fields: &mut Fields, now: DateTime<Utc>, least: Duration) {
    if !schedule.is_manual() && schedule.next_after(now).is_none() {
        let field = if timing.window_from.is_some() { "window_from" } else { CRON };
        fields.fail_invalid(field, &"none of the times of the schedule is in the window; it would never run");
    }
    let least = TimeDelta::from_std(least).unwrap_or(TimeDelta::zero());
    let Some(gap) = schedule.shortest_gap(now).filter(|gap| *gap < least) else { return };
    let field = match timing.frequency.as_str() {
        "custom" => CRON,
        "interval" => "interval_secs",
        _ => "frequency",
    };
    if !fields.failed(field) {
        let [gap, least] = [gap, least].map(|span| human_secs(span.num_seconds()));
        fields.fail_invalid(field, &format!("it would run every {gap}, and {least} is the least here"));
    }
}
