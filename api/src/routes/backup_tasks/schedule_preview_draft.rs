//! `POST /api/backup-tasks/schedule-preview`

use super::body::{Body, Sent};
use super::timing;
use crate::extract::{Authorized, OurBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::schedule_preview::SchedulePreview;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use utoipa::ToSchema;

/// When a task would run: the fields of a task that say so, as [`Body::read_schedule`] reads them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what is read elsewhere")]
pub struct ScheduleDraft {
    /// `hourly`, `daily`, `weekly`, `monthly`, `interval`, `custom`, `manual`.
    #[schema(required)]
    pub frequency: Option<String>,
    /// `HH:MM`, in `timezone` or else in UTC; of a daily, weekly or monthly task.
    pub time_to_run_at: Option<String>,
    /// Five-field cron, with `frequency: custom`.
    pub custom_cron_expression: Option<String>,
    /// IANA name; without it the schedule is in UTC.
    pub timezone: Option<String>,
    /// Of a weekly task, 0 = Sunday; without it and `weekdays`, today's.
    pub weekday: Option<i64>,
    /// Of a weekly task on several days.
    pub weekdays: Option<Vec<i64>>,
    /// Of an hourly task: the minute of each hour; 0 without it.
    pub minute: Option<i64>,
    /// Of a monthly task: 1 to 31, or `last`. A month without that day has its last one instead.
    pub month_day: Option<i64>,
    /// With `frequency: interval`: whole minutes, 60 to 31,622,400.
    pub interval_secs: Option<i64>,
    /// The first time of an interval, from which all others follow; this minute without it.
    pub interval_from: Option<DateTime<Utc>>,
    /// `HH:MM`: the schedule starts no run earlier in the day. With `window_until`, which may be past midnight.
    pub window_from: Option<String>,
    /// `HH:MM`: nor from then on.
    pub window_until: Option<String>,
    /// How many seconds after its time a run may be queued; 0 to 86,400.
    pub jitter_secs: Option<i64>,
    /// `once`, `spread`, `skip`.
    pub catch_up: Option<String>,
}

/// The next ten runs that a task with this schedule would have; what a task is refused for is refused here. Nothing is
/// stored.
#[utoipa::path(post, path = "/api/backup-tasks/schedule-preview", tag = "backup-tasks", request_body = ScheduleDraft,
    responses((status = 200, body = Data<SchedulePreview>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn preview_schedule_draft(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<SchedulePreview>>, Problem> {
    let now = state.now();
    let body = Body::read_schedule(&mut fields);
    let sent = Sent::of(&fields);
    fields.refuse_unknown();
    let timing = timing::plan(&body, &sent, None, now);
    let schedule = timing::check(&timing, &mut fields, now, state.min_interval());
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    limits::interval(&state, &tx, &timing).await?;
    // Which of its starts are whose is known once a task exists.
    let first = schedule.and_then(|schedule| schedule.due_after(now, 0));
    Ok(data(SchedulePreview::of(&timing, first, None)))
}
