//! When a task runs next, for people.

use super::time;
use chrono::{DateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use holdfast_domain::schedule::{Due, Schedule, human_secs};
use holdfast_store::repositories::task_timing::TaskTiming;
use serde::Serialize;
use utoipa::ToSchema;

/// Runs of the answer.
const RUNS: usize = 10;

/// The next runs of a schedule.
#[derive(Serialize, ToSchema)]
pub struct SchedulePreview {
    /// The zone that times of day are meant in.
    timezone: String,
    /// At most ten, in order; none of a task that runs by hand alone.
    runs: Vec<PreviewedRun>,
    /// What the window does, in a sentence; null without one.
    #[schema(required)]
    window: Option<String>,
    /// What the jitter does, in a sentence; null without any.
    #[schema(required)]
    jitter: Option<String>,
}

/// One run to come.
#[derive(Serialize, ToSchema)]
pub struct PreviewedRun {
    /// The time that the schedule names: the run's `scheduled_for`.
    slot: String,
    /// When it is queued: later than `slot` by the jitter, or because it is made up for. Null where that is known once the
    /// task exists.
    #[schema(required)]
    starts_at: Option<String>,
    /// `slot` in the zone: `YYYY-MM-DD HH:MM:SS`.
    local_time: String,
    /// What the zone is called then, as `CEST`; where it has no name, its distance from UTC.
    zone_name: String,
    /// The zone's distance from UTC then, as `+02:00`.
    utc_offset: String,
    /// What the clocks do at that time; null on other days.
    #[schema(required)]
    note: Option<String>,
}

impl SchedulePreview {
    /// From `first` on. Without a `seed` starts are not known where there is jitter.
    #[must_use]
    pub fn of(timing: &TaskTiming, first: Option<Due>, seed: Option<u128>) -> Self {
        let zone = timing.timezone.as_deref().map_or(Tz::UTC, time::zone);
        let schedule = timing.schedule().ok();
        let next = |due: &Due| schedule.as_ref()?.due_after(due.slot, seed.unwrap_or(0));
        let is_start_known = seed.is_some() || timing.jitter_secs == 0;
        let runs = std::iter::successors(first, next).take(RUNS);
        let run = |due: Due| PreviewedRun::of(due, zone, is_start_known);
        Self {
            timezone: zone.name().to_owned(),
            runs: runs.map(run).collect(),
            window: window(timing, zone),
            jitter: jitter(timing, schedule.as_ref(), first),
        }
    }
}

impl PreviewedRun {
    fn of(due: Due, zone: Tz, is_start_known: bool) -> Self {
        let local = due.slot.with_timezone(&zone);
        Self {
            slot: time::utc(due.slot),
            starts_at: is_start_known.then(|| time::utc(due.at)),
            local_time: time::local(due.slot, zone),
            zone_name: local.format("%Z").to_string(),
            utc_offset: local.format("%:z").to_string(),
            note: note(due.slot, zone),
        }
    }
}

fn window(timing: &TaskTiming, zone: Tz) -> Option<String> {
    let (from, until) = (timing.window_from.as_deref()?, timing.window_until.as_deref()?);
    Some(format!(
        "Only times from {from} until before {until} ({}) count; others of the schedule are left out.",
        zone.name()
    ))
}

fn jitter(timing: &TaskTiming, schedule: Option<&Schedule>, first: Option<Due>) -> Option<String> {
    if timing.jitter_secs == 0 {
        return None;
    }
    let gap = first.and_then(|due| Some((schedule?.next_after(due.slot)? - due.slot).num_seconds()));
    let most = i64::from(timing.jitter_secs).min(gap.map_or(i64::MAX, |secs| secs - 1));
    let most = human_secs(most);
    Some(format!("Each run begins up to {most} after its time: always the same for one time, and never at the next."))
}

fn note(slot: DateTime<Utc>, zone: Tz) -> Option<String> {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let local = slot.with_timezone(&zone).naive_local();
    let before = slot - TimeDelta::seconds(1);
    if offset(slot) > offset(before) {
        let reached = before.with_timezone(&zone).naive_local() + TimeDelta::seconds(1);
        return Some(format!(
            "The clocks jump from {} to {}: what is meant in between begins now.",
            reached.format("%H:%M"),
            local.format("%H:%M")
        ));
    }
    let comes_twice = matches!(zone.from_local_datetime(&local), chrono::MappedLocalTime::Ambiguous(..));
    comes_twice.then(|| "The clocks are set back: this time of day comes twice.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(time: &str, first: &str) -> SchedulePreview {
        let timing = TaskTiming {
            frequency: "daily".to_owned(),
            time_to_run_at: Some(time.to_owned()),
            timezone: Some("Europe/Berlin".to_owned()),
            ..TaskTiming::default()
        };
        let due = timing.schedule().unwrap().due_after(first.parse().unwrap(), 0);
        SchedulePreview::of(&timing, due, Some(0))
    }

    #[test]
    fn changes_of_the_clock_are_said() {
        let spring = preview("02:30", "2026-03-28T12:00:00Z");
        assert_eq!(spring.runs.len(), RUNS);
        let (first, second) = (&spring.runs[0], &spring.runs[1]);
        assert_eq!((first.slot.as_str(), first.local_time.as_str()), ("2026-03-29T01:00:00Z", "2026-03-29 03:00:00"));
        assert_eq!((first.zone_name.as_str(), first.utc_offset.as_str()), ("CEST", "+02:00"));
        assert!(first.note.as_ref().unwrap().contains("from 02:00 to 03:00") && second.note.is_none());
        let autumn = preview("02:30", "2026-10-24T12:00:00Z");
        assert!(autumn.runs[0].note.as_ref().unwrap().contains("twice"));
        assert_eq!((autumn.runs[0].zone_name.as_str(), autumn.runs[1].zone_name.as_str()), ("CEST", "CET"));
    }
}
