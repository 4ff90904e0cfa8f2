//! When the next success of a task is expected at the latest, and that it did not come. The clock is the database's: what
//! one process computes another one judges. Nothing here may alarm twice of one absence.

use super::handle;
use super::task_timing::{TaskTiming, seed_of};
use crate::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::BackupTaskId;
use holdfast_entity::backup_tasks;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use std::time::Duration;
use uuid::Uuid;

handle! {
    /// The expectations of the team's tasks.
    Expectations, expectations
}

/// What an expectation follows from.
struct Basis {
    timing: TaskTiming,
    seal_id: Uuid,
    is_stopped: bool,
    grace_secs: Option<i32>,
    expectation_from: DateTime<Utc>,
    usual_secs: Option<f64>,
}

/// An absence that was just noticed.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Absence {
    /// When the success was expected at the latest.
    pub expected_by: DateTime<Utc>,
    /// When the last one came, if there ever was one.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl Expectations<'_> {
    /// Computes when the next success is expected: the first due time since the last success (or since the schedule began
    /// or changed), how long the task usually takes, and its grace. None for a task that is paused, deleted or runs by
    /// hand.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew(
        &self,
        task: BackupTaskId,
        default_grace: Duration,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        // Nine of ten good runs were not slower: one that was must not put the alarm off for weeks.
        let sql = "SELECT t.*,
                          (SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY r.secs) FROM (
                               SELECT extract(epoch FROM completed_at - started_at)::float8 AS secs FROM backup_runs
                               WHERE backup_task_id = t.id AND team_id = $2 AND started_at IS NOT NULL
                                 AND status IN ('succeeded', 'succeeded_with_warnings')
                               ORDER BY id DESC LIMIT 10) r) AS usual_secs
                   FROM backup_tasks t WHERE t.id = $1 AND t.team_id = $2 FOR UPDATE OF t";
        let values = [task.0.into(), self.0.team_id().0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(found) = self.0.conn().query_one_raw(statement).await? else { return Ok(None) };
        let basis = Basis::of(&backup_tasks::Model::from_query_result(&found, "")?, found.try_get("", "usual_secs")?);
        let by = basis.expected_by(task, default_grace);
        let sql = "UPDATE backup_tasks SET next_success_expected_by = $3, is_expectation_due = false
                   WHERE id = $1 AND team_id = $2";
        self.0.change(sql, [task.0.into(), self.0.team_id().0.into(), by.into()]).await?;
        Ok(by)
    }

    /// Marks a task as overdue; none where it is not, or somebody marked it before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_overdue(&self, task: BackupTaskId) -> Result<Option<Absence>, StoreError> {
        let sql = "UPDATE backup_tasks t SET overdue_since = now()
                   WHERE t.id = $1 AND t.team_id = $2 AND t.next_success_expected_by < now() AND t.overdue_since IS NULL
                     AND NOT t.is_expectation_due AND t.deleted_at IS NULL AND t.paused_at IS NULL
                   RETURNING t.next_success_expected_by AS expected_by,
                             (SELECT max(completed_at) FROM backup_runs r
                              WHERE r.backup_task_id = t.id AND r.team_id = $2
                                AND r.status IN ('succeeded', 'succeeded_with_warnings')) AS last_success_at";
        let values = [task.0.into(), self.0.team_id().0.into()];
        let marked = Absence::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values));
        Ok(marked.one(self.0.conn()).await?)
    }

    /// Notes that a success came: an absence is over, and the next due time counts. In the transaction that makes it true.
    /// Returns whether there was an absence.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn meet(&self, task: BackupTaskId) -> Result<bool, StoreError> {
        // Locked first: an alarm at this moment is either before it, and over with it, or not raised.
        let sql = "WITH before AS (
                       SELECT id, overdue_since FROM backup_tasks WHERE id = $1 AND team_id = $2 FOR UPDATE)
                   UPDATE backup_tasks t
                   SET expectation_from = now(), is_expectation_due = true, overdue_since = NULL
                   FROM before WHERE t.id = before.id RETURNING before.overdue_since IS NOT NULL AS was_overdue";
        let values = [task.0.into(), self.0.team_id().0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = self.0.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "was_overdue")).transpose()?.unwrap_or(false))
    }
}

impl Basis {
    fn of(row: &backup_tasks::Model, usual_secs: Option<f64>) -> Self {
        Self {
            timing: TaskTiming::of(row),
            seal_id: row.seal_id,
            is_stopped: row.paused_at.is_some() || row.deleted_at.is_some(),
            grace_secs: row.grace_secs,
            expectation_from: row.expectation_from,
            usual_secs,
        }
    }

    fn expected_by(&self, task: BackupTaskId, default_grace: Duration) -> Option<DateTime<Utc>> {
        if self.is_stopped {
            return None;
        }
        let schedule = self
            .timing
            .schedule()
            .inspect_err(|problem| tracing::error!(%task, %problem, "the task's schedule cannot be read"))
            .ok()?;
        let due = schedule.due_after(self.expectation_from, seed_of(self.seal_id))?.at;
        let grace =
            self.grace_secs.and_then(|secs| u64::try_from(secs).ok()).map_or(default_grace, Duration::from_secs);
        let usual = Duration::try_from_secs_f64(self.usual_secs.unwrap_or(0.0)).unwrap_or_default();
        due.checked_add_signed(TimeDelta::from_std(usual.saturating_add(grace)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(frequency: &str) -> TaskTiming {
        let time_to_run_at = Some("02:00".to_owned());
        TaskTiming { frequency: frequency.to_owned(), time_to_run_at, ..TaskTiming::default() }
    }

    fn basis(grace_secs: Option<i32>, usual_secs: Option<f64>) -> Basis {
        Basis {
            timing: timing("daily"),
            seal_id: Uuid::nil(),
            is_stopped: false,
            grace_secs,
            expectation_from: "2026-11-29T02:10:00Z".parse().unwrap(),
            usual_secs,
        }
    }

    fn by(basis: &Basis) -> Option<String> {
        let by = basis.expected_by(BackupTaskId(1), Duration::from_secs(3_600));
        by.map(|at| at.format("%dT%H:%M").to_string())
    }

    #[test]
    fn the_next_slot_the_usual_time_and_the_grace_make_the_expectation() {
        assert_eq!(by(&basis(None, None)).as_deref(), Some("30T03:00"));
        assert_eq!(by(&basis(None, Some(600.0))).as_deref(), Some("30T03:10"));
        assert_eq!(by(&basis(Some(0), Some(600.0))).as_deref(), Some("30T02:10"));
        assert_eq!(by(&basis(Some(0), Some(-5.0))).as_deref(), Some("30T02:00"), "a clock that went back");
    }

    #[test]
    fn what_does_not_run_by_itself_is_not_expected() {
        assert_eq!(by(&Basis { is_stopped: true, ..basis(None, None) }), None);
        assert_eq!(by(&Basis { timing: timing("manual"), ..basis(None, None) }), None);
        assert_eq!(by(&Basis { timing: timing("custom"), ..basis(None, None) }), None, "unreadable");
    }
}
