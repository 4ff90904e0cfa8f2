//! A run as page 003 knows it: a log.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// The page's log object.
#[derive(Serialize, ToSchema)]
pub struct LogView {
    id: i64,
    backup_task_id: i64,
    output: String,
    #[schema(required)]
    finished_at: Option<String>,
    /// `running`, `successful`, `failed`.
    status: &'static str,
    created_at: String,
    /// The exact state.
    result: String,
}

impl LogView {
    /// The view of a run whose log has `lines`.
    #[must_use]
    pub fn of(run: rows::backup_runs::Model, lines: &[rows::backup_run_lines::Model]) -> Self {
        let mut output: String = lines.iter().flat_map(|line| [line.content.as_str(), "\n"]).collect();
        if let Some(message) = run.error_message.as_deref().filter(|message| !output.contains(*message)) {
            output.push_str(message);
            output.push('\n');
        }
        Self {
            id: run.id,
            backup_task_id: run.backup_task_id,
            output,
            finished_at: time::utc_or_null(run.completed_at),
            status: page_status(&run.status),
            created_at: time::utc(run.created_at),
            result: run.status,
        }
    }
}

/// The page's word for a state.
fn page_status(status: &str) -> &'static str {
    match status {
        "queued" | "running" | "verifying" => "running",
        "succeeded" | "succeeded_with_warnings" => "successful",
        _ => "failed",
    }
}
