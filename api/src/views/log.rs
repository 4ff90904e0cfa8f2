//! A run as page 003 knows it: a log. Its text is bounded: the end of it, which says how the run came out.

use super::time;
use holdfast_store::repositories::task_logs::LogText;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// Characters of `output` where one log is shown; `backup-runs/{id}/log` gives all lines.
pub const OUTPUT_MAX_CHARS: i64 = 262_144;
/// Characters of each `output` in a list.
pub const LISTED_OUTPUT_MAX_CHARS: i64 = 8_192;

/// The page's log object.
#[derive(Serialize, ToSchema)]
pub struct LogView {
    id: i64,
    backup_task_id: i64,
    /// The last lines, whole: up to 262144 characters, in a list 8192.
    output: String,
    #[schema(required)]
    finished_at: Option<String>,
    /// `running`, `successful`, `failed`.
    status: &'static str,
    created_at: String,
    /// The exact state.
    result: String,
    /// Whether earlier lines were left out of `output`.
    output_truncated: bool,
}

impl LogView {
    /// The view of a run whose log ends with `text`.
    #[must_use]
    pub fn of(run: rows::backup_runs::Model, text: LogText) -> Self {
        let mut output = text.lines.join("\n");
        if let Some(message) = run.error_message.as_deref().filter(|message| !output.contains(*message)) {
            if !output.is_empty() {
                output.push('\n');
            }
            output.push_str(message);
        }
        Self {
            id: run.id,
            backup_task_id: run.backup_task_id,
            output,
            finished_at: time::utc_or_null(run.completed_at),
            status: page_status(&run.status),
            created_at: time::utc(run.created_at),
            result: run.status,
            output_truncated: text.is_cut,
        }
    }
}

const RUNNING: &[&str] = &["queued", "running", "verifying"];
const SUCCESSFUL: &[&str] = &["succeeded", "succeeded_with_warnings"];
const FAILED: &[&str] = &["partial", "failed", "cancelled", "missed"];

/// The page's words.
pub const PAGE_STATUSES: [&str; 3] = ["running", "successful", "failed"];

/// The states that the page calls `word`.
#[must_use]
pub fn states_of(word: &str) -> &'static [&'static str] {
    match word {
        "running" => RUNNING,
        "successful" => SUCCESSFUL,
        _ => FAILED,
    }
}

/// The page's word for a state.
fn page_status(status: &str) -> &'static str {
    PAGE_STATUSES.into_iter().find(|word| states_of(word).contains(&status)).unwrap_or("failed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::run::RunStatus;

    #[test]
    fn every_state_that_makes_a_log_has_one_word() {
        for status in RunStatus::ALL {
            let words = PAGE_STATUSES.iter().filter(|word| states_of(word).contains(&status.as_str())).count();
            assert_eq!(words, usize::from(status != RunStatus::Skipped), "{status:?}");
            assert_eq!(page_status(status.as_str()) == "running", !status.is_final(), "{status:?}");
        }
    }
}
