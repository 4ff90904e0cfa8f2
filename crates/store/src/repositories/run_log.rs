//! A run's log: plain sentences, numbered within the run, bounded.

use crate::{StoreError, TeamTx};
use holdfast_domain::ids::BackupRunId;

/// Lines kept of one run; later ones are dropped.
pub const LINES_PER_RUN: i32 = 2000;

/// Characters kept of one line.
pub const CHARS_PER_LINE: usize = 500;

impl TeamTx {
    /// Appends lines to the log of a run whose epoch is still `epoch`; those of an older epoch, or
    /// of a run whose log was deleted, are dropped silently.
    ///
    /// # Errors
    /// The database failed.
    pub async fn append_run_lines(&self, run: BackupRunId, epoch: i32, lines: &[String]) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> =
            lines.iter().map(|line| holdfast_domain::failure::printable(line, CHARS_PER_LINE)).collect();
        // The run's row is locked, so that two writers never take the same number.
        self.change(
            "WITH run AS (SELECT id, team_id FROM backup_runs WHERE id = $1 AND epoch = $2 AND log_deleted_at IS NULL
                          FOR NO KEY UPDATE),
                  last AS (SELECT coalesce(max(line_number), 0) AS n FROM backup_run_lines WHERE backup_run_id = $1)
             INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, at, content)
             SELECT run.team_id, run.id, last.n + t.position, clock_timestamp(), t.content
             FROM run, last, unnest($3::text[]) WITH ORDINALITY AS t(content, position)
             WHERE last.n + t.position <= $4
             ON CONFLICT DO NOTHING",
            [run.0.into(), epoch.into(), lines.into(), LINES_PER_RUN.into()],
        )
        .await?;
        Ok(())
    }
}
