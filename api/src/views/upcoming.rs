//! A task that is due, in the shape of the peer's `upcoming`.

use super::{human_time, time};
use chrono::SecondsFormat;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// When a task runs next.
#[derive(Serialize, ToSchema)]
pub struct UpcomingView {
    backup_task_id: i64,
    label: String,
    /// `Files`, `Database`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// RFC 3339 with the offset of the reader's zone.
    next_run: String,
    /// In the reader's language and zone.
    next_run_human: String,
}

impl UpcomingView {
    /// The view of `row` for `user`; none for a task that is not due.
    #[must_use]
    pub fn of(row: rows::backup_tasks::Model, user: &rows::users::Model) -> Option<Self> {
        let at = row.next_run_at?.with_timezone(&time::zone(&user.timezone));
        Some(Self {
            backup_task_id: row.id,
            label: row.label,
            kind: if row.r#type == "database" { "Database" } else { "Files" },
            next_run: at.to_rfc3339_opts(SecondsFormat::Secs, false),
            next_run_human: human_time::full(at, &user.language),
        })
    }
}
