//! A run's log: plain sentences, numbered within the run, bounded, each once. A line never changes and its number only grows,
//! so that a reader can go on from a number.

use crate::system::call;
use crate::{Store, StoreError, TeamTx};
use holdfast_domain::ids::BackupRunId;
use sea_orm::ConnectionTrait;

/// Lines kept of one run.
pub const LINES_PER_RUN: i32 = 2000;

/// Of these, kept for how it ends: a log must not be full before it says what came of the run.
pub const LINES_FOR_THE_END: usize = 99;

/// Characters kept of one line.
pub const CHARS_PER_LINE: usize = 500;

/// Stands where lines were left out.
const FULL: &str = "The log is full. What follows is left out, up to how the run ended.";

/// Lines of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaidLines {
    /// How many the attempt said before them.
    pub from: i32,
    /// In order.
    pub lines: Vec<String>,
}

impl TeamTx {
    /// Appends lines to the log of a run whose epoch is still `epoch`; those of an older epoch, or of a run whose log was
    /// deleted, are dropped silently. For those who write once, in the transaction of what they tell.
    ///
    /// # Errors
    /// The database failed.
    pub async fn append_run_lines(&self, run: BackupRunId, epoch: i32, lines: &[String]) -> Result<(), StoreError> {
        if lines.is_empty() || self.lock_log(run, epoch).await?.is_none() {
            return Ok(());
        }
        self.insert_lines(run, lines, true).await
    }

    /// Appends lines of the attempt that holds `epoch`, of which some may have been written before: those are known by
    /// their place and not written again. Otherwise as [`TeamTx::append_run_lines`]. `is_end`: the last write of the attempt,
    /// for whose last [`LINES_FOR_THE_END`] lines room is kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn append_said_lines(
        &self,
        run: BackupRunId,
        epoch: i32,
        said: &SaidLines,
        is_end: bool,
    ) -> Result<(), StoreError> {
        if said.lines.is_empty() {
            return Ok(());
        }
        let Some(known) = self.lock_log(run, epoch).await? else { return Ok(()) };
        let written = usize::try_from(known.saturating_sub(said.from)).unwrap_or(0);
        let Some(new) = said.lines.get(written..).filter(|new| !new.is_empty()) else { return Ok(()) };
        let at = if is_end { new.len().saturating_sub(LINES_FOR_THE_END) } else { new.len() };
        let (before, end) = new.split_at(at);
        self.insert_lines(run, before, false).await?;
        self.insert_lines(run, end, true).await?;
        let said = said.from.saturating_add(i32::try_from(said.lines.len()).unwrap_or(i32::MAX));
        let note = "UPDATE backup_runs SET log_epoch = epoch, log_said = $2 WHERE id = $1";
        self.change(note, [run.0.into(), said.into()]).await?;
        Ok(())
    }

    /// How many lines of this epoch are known; none where nothing may be written. The run's row is locked in a statement of
    /// its own: what is read after it is what the last writer left.
    async fn lock_log(&self, run: BackupRunId, epoch: i32) -> Result<Option<i32>, StoreError> {
        let sql = "SELECT CASE WHEN log_epoch = $2 THEN log_said ELSE 0 END AS said FROM backup_runs
                   WHERE id = $1 AND epoch = $2 AND log_deleted_at IS NULL FOR NO KEY UPDATE";
        let row = self.conn().query_one_raw(call(sql, [run.0.into(), epoch.into()])).await?;
        Ok(row.map(|row| row.try_get("", "said")).transpose()?)
    }

    async fn insert_lines(&self, run: BackupRunId, lines: &[String], is_end: bool) -> Result<(), StoreError> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> =
            lines.iter().map(|line| holdfast_domain::failure::printable(line, CHARS_PER_LINE)).collect();
        let kept_free = i32::try_from(LINES_FOR_THE_END).unwrap_or(0) + 1;
        let most = if is_end { LINES_PER_RUN } else { LINES_PER_RUN - kept_free };
        self.change(
            "WITH last AS (SELECT coalesce(max(line_number), 0) AS n FROM backup_run_lines WHERE backup_run_id = $1),
                  wanted AS (SELECT last.n + t.position AS number, t.content
                             FROM last, unnest($2::text[]) WITH ORDINALITY AS t(content, position)),
                  kept AS (SELECT * FROM wanted WHERE number <= $3
                           UNION ALL
                           SELECT $3 + 1, $4 FROM last WHERE NOT $5 AND last.n <= $3
                                                         AND EXISTS (SELECT 1 FROM wanted WHERE number > $3)),
                  written AS (INSERT INTO backup_run_lines (team_id, backup_run_id, line_number, at, content)
                              SELECT r.team_id, r.id, k.number, clock_timestamp(), k.content
                              FROM backup_runs r, kept k WHERE r.id = $1 ORDER BY k.number
                              RETURNING octet_length(content) AS bytes)
             UPDATE backup_runs SET log_bytes = log_bytes + coalesce((SELECT sum(bytes) FROM written), 0) WHERE id = $1",
            [run.0.into(), lines.into(), most.into(), FULL.into(), is_end.into()],
        )
        .await?;
        Ok(())
    }
}

impl Store {
    /// Removes logs that are older than `max_age_secs`, or beyond what a team may keep; 0 is no limit. How many went.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_run_logs(
        &self,
        max_age_secs: f64,
        team_max_bytes: i64,
        at_most: i32,
    ) -> Result<i64, StoreError> {
        let sql = "SELECT purge_run_logs($1, $2, $3) AS n";
        let values = [max_age_secs.into(), team_max_bytes.into(), at_most.into()];
        let row = self.db().query_one_raw(call(sql, values)).await?;
        Ok(row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0))
    }
}
