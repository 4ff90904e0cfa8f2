//! What a script is told of its run, as variables of its environment.

use chrono::{DateTime, SecondsFormat, Utc};
use holdfast_domain::script::{Phase, RunOn};

/// How things stood when the scripts of a phase began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// Nothing was read yet.
    Running,
    /// The source was read; the backup is not verified yet.
    SourceRead,
    /// A worker disappeared while the run was under way; what it began is undone.
    Abandoned,
    /// The run's state, and why it failed.
    Ended {
        /// As on the wire.
        status: &'static str,
        /// `error_code`, if it failed.
        error_code: Option<&'static str>,
    },
}

/// Facts of a run.
#[derive(Clone, Debug)]
pub struct Facts {
    /// None in a test.
    pub run_id: Option<i64>,
    /// From 1.
    pub attempt: i32,
    /// None in a test.
    pub task: Option<(i64, String)>,
    /// What started the run.
    pub trigger: String,
    /// The server's label.
    pub server: String,
    /// When the run's first attempt began.
    pub started_at: DateTime<Utc>,
    /// Bytes read of the source so far.
    pub bytes: u64,
    /// On which side of the reading.
    pub phase: Phase,
    /// After what.
    pub run_on: RunOn,
    /// How things stand.
    pub status: SourceStatus,
    /// Whether this is a test and no run.
    pub is_dry_run: bool,
}

impl Facts {
    /// Names and values.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let (task, label) = self.task.as_ref().map(|(id, label)| (id.to_string(), label.clone())).unwrap_or_default();
        let (status, error_code) = match &self.status {
            SourceStatus::Running => ("running", None),
            SourceStatus::SourceRead => ("source_read", None),
            SourceStatus::Abandoned => ("abandoned", Some("abandoned")),
            SourceStatus::Ended { status, error_code } => (*status, *error_code),
        };
        vec![
            ("HOLDFAST_RUN_ID", self.run_id.map(|id| id.to_string()).unwrap_or_default()),
            ("HOLDFAST_ATTEMPT", self.attempt.to_string()),
            ("HOLDFAST_TASK", task),
            ("HOLDFAST_TASK_LABEL", label),
            ("HOLDFAST_TRIGGER", self.trigger.clone()),
            ("HOLDFAST_SERVER", self.server.clone()),
            ("HOLDFAST_STARTED_AT", self.started_at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ("HOLDFAST_BYTES", self.bytes.to_string()),
            ("HOLDFAST_PHASE", self.phase.as_str().to_owned()),
            ("HOLDFAST_RUN_ON", self.run_on.as_str().to_owned()),
            ("HOLDFAST_STATUS", status.to_owned()),
            ("HOLDFAST_ERROR_CODE", error_code.unwrap_or_default().to_owned()),
            ("HOLDFAST_DRY_RUN", if self.is_dry_run { "1" } else { "0" }.to_owned()),
        ]
    }
}
