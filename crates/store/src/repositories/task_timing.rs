//! When a task runs: the columns of `backup_tasks` that say so, in one place.

use chrono::{DateTime, Utc};
use holdfast_domain::schedule::{CatchUp, Due, Schedule, ScheduleColumns, ScheduleProblem};
use holdfast_entity::backup_tasks::Model;
use uuid::Uuid;

/// A task's schedule, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskTiming {
    /// `hourly`, `daily`, `weekly`, `monthly`, `interval`, `custom`, `manual`.
    pub frequency: String,
    /// `HH:MM` in `timezone`, or in UTC without one.
    pub time_to_run_at: Option<String>,
    /// Five-field Unix cron.
    pub custom_cron: Option<String>,
    /// IANA name.
    pub timezone: Option<String>,
    /// 0 = Sunday; the first of `weekdays`.
    pub weekday: Option<i16>,
    /// Of a weekly task.
    pub weekdays: Vec<i16>,
    /// Of an hourly task.
    pub minute: Option<i16>,
    /// Of a monthly task; 31 = the last day of each month.
    pub month_day: Option<i16>,
    /// Of a task that runs by intervals.
    pub interval_secs: Option<i32>,
    /// The first slot of an interval.
    pub interval_from: Option<DateTime<Utc>>,
    /// `HH:MM`: no run begins earlier in the day.
    pub window_from: Option<String>,
    /// `HH:MM`: nor from then on.
    pub window_until: Option<String>,
    /// How long after its slot a run may be queued.
    pub jitter_secs: i32,
    /// What becomes of missed slots.
    pub catch_up: CatchUp,
}

impl TaskTiming {
    /// Of a row.
    #[must_use]
    pub fn of(row: &Model) -> Self {
        Self {
            frequency: row.frequency.clone(),
            time_to_run_at: row.time_to_run_at.clone(),
            custom_cron: row.custom_cron.clone(),
            timezone: row.timezone.clone(),
            weekday: row.weekday,
            weekdays: row.weekdays.clone(),
            minute: row.minute,
            month_day: row.month_day,
            interval_secs: row.interval_secs,
            interval_from: row.interval_from,
            window_from: row.window_from.clone(),
            window_until: row.window_until.clone(),
            jitter_secs: row.jitter_secs,
            catch_up: CatchUp::of_stored(&row.catch_up),
        }
    }

    /// Into a row.
    pub fn set(self, row: &mut Model) {
        row.frequency = self.frequency;
        row.time_to_run_at = self.time_to_run_at;
        row.custom_cron = self.custom_cron;
        row.timezone = self.timezone;
        row.weekday = self.weekday;
        row.weekdays = self.weekdays;
        row.minute = self.minute;
        row.month_day = self.month_day;
        row.interval_secs = self.interval_secs;
        row.interval_from = self.interval_from;
        row.window_from = self.window_from;
        row.window_until = self.window_until;
        row.jitter_secs = self.jitter_secs;
        self.catch_up.as_str().clone_into(&mut row.catch_up);
    }

    /// What it means.
    ///
    /// # Errors
    /// It is no schedule.
    pub fn schedule(&self) -> Result<Schedule, ScheduleProblem> {
        Schedule::from_columns(&ScheduleColumns {
            frequency: &self.frequency,
            time_to_run_at: self.time_to_run_at.as_deref(),
            custom_cron: self.custom_cron.as_deref(),
            timezone: self.timezone.as_deref(),
            weekday: self.weekday,
            weekdays: &self.weekdays,
            minute: self.minute,
            month_day: self.month_day,
            interval_secs: self.interval_secs,
            interval_from: self.interval_from,
            window_from: self.window_from.as_deref(),
            window_until: self.window_until.as_deref(),
            jitter_secs: self.jitter_secs,
        })
    }

    /// When a task is due first after `now`; none where it is not scheduled, or by nothing that can be read.
    #[must_use]
    pub fn due_after(&self, now: DateTime<Utc>, seal_id: Uuid) -> Option<Due> {
        self.schedule().ok()?.due_after(now, seed_of(seal_id))
    }
}

/// What makes a task's starts its own.
#[must_use]
pub fn seed_of(seal_id: Uuid) -> u128 {
    seal_id.as_u128()
}

/// What a task owes, or will.
#[must_use]
pub fn due_of(row: &Model) -> Option<Due> {
    let at = row.next_run_at?;
    Some(Due { slot: row.next_slot_at.unwrap_or(at), at })
}

/// `next_run_at` and `next_slot_at`.
#[must_use]
pub fn due_columns(due: Option<Due>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    (due.map(|due| due.at), due.filter(|due| due.slot < due.at).map(|due| due.slot))
}

/// What a task is due for once it has `timing` and is not paused; see [`Schedule::due_after_change`].
#[must_use]
pub fn due_after_change(row: &Model, timing: &TaskTiming, now: DateTime<Utc>) -> Option<Due> {
    let schedule = timing.schedule().ok()?;
    schedule.due_after_change(due_of(row), row.paused_at, now, seed_of(row.seal_id))
}

/// Notes that the schedule is `timing` from now on, and when the task is due next. Of a task that is being resumed,
/// `paused_at` still stands there.
pub fn reschedule(row: &mut Model, timing: TaskTiming, now: DateTime<Utc>) {
    (row.next_run_at, row.next_slot_at) = due_columns(due_after_change(row, &timing, now));
    row.scheduled_since = now;
    timing.set(row);
}
