//! A run. Figures never go backwards; the final ones come in the read that first shows the final state, because they
//! stand in the same row.

use super::time;
use chrono::{DateTime, Utc};
use holdfast_domain::progress::{DestinationProgress, Progress};
use holdfast_domain::run::RunStatus;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// One execution of a task.
#[derive(Serialize, ToSchema)]
pub struct BackupRunView {
    id: i64,
    backup_task_id: i64,
    /// `queued`, `running`, `verifying`, `succeeded`, `succeeded_with_warnings`, `partial`, `failed`, `cancelled`,
    /// `skipped`, `missed`.
    status: String,
    /// `manual`, `schedule`, `webhook`.
    trigger: String,
    created_at: String,
    #[schema(required)]
    scheduled_for: Option<String>,
    #[schema(required)]
    started_at: Option<String>,
    #[schema(required)]
    completed_at: Option<String>,
    /// From the start, or the creation of one that never started, to the end or now.
    duration_ms: i64,
    #[schema(required)]
    transfer_ms: Option<i64>,
    /// How many times it was begun.
    attempt: i32,
    /// Where it is, or was when it ended.
    #[schema(required)]
    step: Option<String>,
    #[schema(required)]
    error_code: Option<String>,
    #[schema(required)]
    error_message: Option<String>,
    /// The first of them: `{code, path?, message}`.
    #[schema(value_type = Vec<Object>)]
    warnings: serde_json::Value,
    /// All of them.
    warning_count: i64,
    has_logs: bool,
    #[schema(required)]
    maintenance_status: Option<String>,
    /// After a cancel: whether nothing of it is alive on the server any more, as checked.
    #[schema(required)]
    process_terminated: Option<bool>,
    #[schema(required)]
    cancel_requested_at: Option<String>,
    /// The backup it made.
    #[schema(required)]
    backup_id: Option<i64>,
    /// The run that this one tries again.
    #[schema(required)]
    retry_of: Option<i64>,
    /// Queued until the unfinished run of its task is over.
    is_behind: bool,
    /// The worker that has or had it.
    #[schema(required)]
    worker: Option<String>,
    progress: ProgressView,
}

/// How far a run or restore is.
#[derive(Serialize, ToSchema)]
pub struct ProgressView {
    #[schema(required)]
    progress_percent: Option<u8>,
    original_size: u64,
    /// What of it the present attempt has read; null in a first one. The one figure that begins again with each attempt.
    #[schema(required)]
    attempt_original_size: Option<u64>,
    #[schema(required)]
    total_expected_size: Option<u64>,
    compressed_size: u64,
    stored_size: u64,
    #[schema(required)]
    deduplicated_size: Option<u64>,
    nfiles: u64,
    #[schema(required)]
    current_file: Option<String>,
    bytes_per_second: u64,
    /// Seconds.
    #[schema(required)]
    estimated_time_remaining: Option<u64>,
    destinations: Vec<DestinationProgressView>,
}

#[derive(Serialize, ToSchema)]
struct DestinationProgressView {
    backup_destination_id: i64,
    stored_size: u64,
    /// `writing`, `verifying`, `committed`, `failed`.
    state: String,
}

impl From<DestinationProgress> for DestinationProgressView {
    fn from(from: DestinationProgress) -> Self {
        Self { backup_destination_id: from.backup_destination_id, stored_size: from.stored_size, state: from.state }
    }
}

impl ProgressView {
    /// The view of a `progress` column in a row with `status`.
    #[must_use]
    pub fn of(column: serde_json::Value, status: &str) -> Self {
        let progress: Progress = serde_json::from_value(column).unwrap_or_default();
        let status = status.parse::<RunStatus>();
        let is_over = status.as_ref().is_ok_and(|status| status.is_final());
        let is_moving = status.as_ref().is_ok_and(|status| !status.is_final() && *status != RunStatus::Queued);
        Self::at(progress, (is_over, is_moving), status.is_ok_and(RunStatus::has_backup))
    }

    /// The view of a copy's `progress` column in a row with `state`.
    #[must_use]
    pub fn of_copy(column: serde_json::Value, state: &str) -> Self {
        let progress: Progress = serde_json::from_value(column).unwrap_or_default();
        let is_over = !matches!(state, "queued" | "running");
        Self::at(progress, (is_over, state == "running"), is_over && state != "failed")
    }

    /// Between two attempts nothing moves, so nothing is told of how fast.
    fn at(progress: Progress, (is_over, is_moving): (bool, bool), is_done: bool) -> Self {
        let remaining = progress.secs_remaining().filter(|_| is_moving);
        Self {
            progress_percent: progress.percent(is_done),
            estimated_time_remaining: if is_over { Some(0) } else { remaining },
            bytes_per_second: if is_moving { progress.bytes_per_second } else { 0 },
            current_file: progress.current_file.filter(|_| is_moving),
            attempt_original_size: progress.attempt_original_size,
            original_size: progress.original_size,
            total_expected_size: progress.total_expected_size,
            compressed_size: progress.compressed_size,
            stored_size: progress.stored_size,
            deduplicated_size: None,
            nfiles: progress.nfiles,
            destinations: progress.destinations.into_iter().map(Into::into).collect(),
        }
    }
}

/// What the view needs besides the row.
pub struct RunContext {
    /// Whether there are log lines.
    pub has_logs: bool,
    /// The backup it made.
    pub backup_id: Option<i64>,
    /// The present.
    pub now: DateTime<Utc>,
}

impl BackupRunView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::backup_runs::Model, context: &RunContext) -> Self {
        Self {
            duration_ms: duration_ms(row.started_at.unwrap_or(row.created_at), row.completed_at, context.now),
            progress: ProgressView::of(row.progress, &row.status),
            id: row.id,
            backup_task_id: row.backup_task_id,
            status: row.status,
            trigger: row.trigger,
            created_at: time::utc(row.created_at),
            scheduled_for: time::utc_or_null(row.scheduled_for),
            started_at: time::utc_or_null(row.started_at),
            completed_at: time::utc_or_null(row.completed_at),
            transfer_ms: row.transfer_ms,
            attempt: row.attempts,
            step: row.step,
            error_code: row.error_code,
            error_message: row.error_message,
            warnings: row.warnings,
            warning_count: row.warning_count,
            has_logs: context.has_logs,
            maintenance_status: None,
            process_terminated: row.process_terminated,
            cancel_requested_at: time::utc_or_null(row.cancel_requested_at),
            backup_id: context.backup_id,
            retry_of: row.retry_of,
            is_behind: row.is_behind,
            worker: row.owner,
        }
    }
}

/// Milliseconds from `start` to `end`, or to `now`; never negative, whatever two clocks say.
#[must_use]
pub fn duration_ms(start: DateTime<Utc>, end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> i64 {
    (end.unwrap_or(now) - start).num_milliseconds().max(0)
}

/// A line of a log.
#[derive(Serialize, ToSchema)]
pub struct LogLineView {
    /// From 1 on.
    pub line_number: i32,
    /// When it was written.
    pub at: String,
    /// Printable.
    pub content: String,
}

/// A part of a log.
#[derive(Serialize, ToSchema)]
pub struct LogPartView {
    /// In order.
    pub lines: Vec<LogLineView>,
    /// Lines in the whole log.
    pub total_lines: u64,
    /// `offset` of the next call.
    pub next_offset: u64,
    /// Whether the next call gives more at once.
    pub has_more: bool,
}
