//! A restore.

use super::backup_run::{ProgressView, duration_ms};
use super::time;
use chrono::{DateTime, Utc};
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout, RestoreSpec, RestoreTo};
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// Giving data back.
#[derive(Serialize, ToSchema)]
pub struct RestoreView {
    id: i64,
    backup_id: i64,
    #[schema(required)]
    copy_id: Option<i64>,
    /// `queued`, `running`, `verifying`, `succeeded`, `succeeded_with_warnings`, `failed`, `cancelled`.
    status: String,
    target: RestoreTargetView,
    streams: Vec<String>,
    paths: Vec<String>,
    /// `keep_path`, `contents_only`.
    layout: &'static str,
    /// `refuse`, `skip`, `overwrite`.
    existing: &'static str,
    restore_owners: bool,
    dry_run: bool,
    created_at: String,
    #[schema(required)]
    started_at: Option<String>,
    #[schema(required)]
    completed_at: Option<String>,
    duration_ms: i64,
    attempt: i32,
    #[schema(required)]
    step: Option<String>,
    #[schema(required)]
    error_code: Option<String>,
    #[schema(required)]
    error_message: Option<String>,
    #[schema(value_type = Vec<Object>)]
    warnings: serde_json::Value,
    warning_count: i64,
    #[schema(required)]
    process_terminated: Option<bool>,
    #[schema(required)]
    cancel_requested_at: Option<String>,
    /// The worker that has or had it.
    #[schema(required)]
    worker: Option<String>,
    progress: ProgressView,
}

/// A path or a database.
#[derive(Serialize, ToSchema)]
struct RestoreTargetView {
    remote_server_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

impl RestoreTargetView {
    fn of(remote_server_id: i64, to: RestoreTo) -> Self {
        let nowhere = Self { remote_server_id, path: None, database: None, host: None, port: None, username: None };
        match to {
            RestoreTo::Path { path } => Self { path: Some(path), ..nowhere },
            RestoreTo::Database(to) => {
                Self { database: Some(to.database), host: to.host, port: to.port, username: to.username, ..nowhere }
            }
        }
    }
}

impl RestoreView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::restores::Model, now: DateTime<Utc>) -> Self {
        let spec = serde_json::from_value(row.spec).unwrap_or_else(|error| {
            // A row of another version: its target stays empty rather than the whole list failing.
            tracing::error!(restore = row.id, %error, "unreadable restore");
            unreadable()
        });
        Self {
            duration_ms: duration_ms(row.started_at.unwrap_or(row.created_at), row.completed_at, now),
            progress: ProgressView::of(row.progress, &row.status),
            id: row.id,
            backup_id: row.backup_id,
            copy_id: row.backup_copy_id,
            status: row.status,
            target: RestoreTargetView::of(row.remote_server_id, spec.target),
            streams: spec.streams,
            paths: spec.paths,
            layout: match spec.layout {
                RestoreLayout::KeepPath => "keep_path",
                RestoreLayout::ContentsOnly => "contents_only",
            },
            existing: match spec.existing {
                ExistingPolicy::Refuse => "refuse",
                ExistingPolicy::Skip => "skip",
                ExistingPolicy::Overwrite => "overwrite",
            },
            restore_owners: spec.restore_owners,
            dry_run: spec.dry_run,
            created_at: time::utc(row.created_at),
            started_at: time::utc_or_null(row.started_at),
            completed_at: time::utc_or_null(row.completed_at),
            attempt: row.attempts,
            step: row.step,
            error_code: row.error_code,
            error_message: row.error_message,
            warnings: row.warnings,
            warning_count: row.warning_count,
            process_terminated: row.process_terminated,
            cancel_requested_at: time::utc_or_null(row.cancel_requested_at),
            worker: row.owner,
        }
    }
}

fn unreadable() -> RestoreSpec {
    RestoreSpec {
        target: RestoreTo::Path { path: String::new() },
        streams: Vec::new(),
        paths: Vec::new(),
        layout: RestoreLayout::default(),
        existing: ExistingPolicy::default(),
        restore_owners: false,
        dry_run: false,
    }
}
