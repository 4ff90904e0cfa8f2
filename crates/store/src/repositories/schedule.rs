//! A due task's next step, in the transaction that locked it.

use crate::{StoreError, TeamTx};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupRunId, BackupTaskId};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// What became of a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledRun {
    /// A run waits for a worker; its job is the caller's to enqueue.
    Queued(BackupRunId),
    /// The due time is recorded as skipped: another run of the task is active, or the team has no room.
    Skipped,
    /// Somebody made the run of this due time already.
    Exists,
}

impl TeamTx {
    /// Makes the run of one due time, at most one for each (task, due time). One that is skipped is told of as missed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn schedule_run(
        &self,
        task: BackupTaskId,
        scheduled_for: DateTime<Utc>,
        ulid: &str,
    ) -> Result<ScheduledRun, StoreError> {
        // Two unique rules can refuse the row, and DO NOTHING covers both without breaking the transaction.
        let queue = "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, scheduled_for)
                     SELECT team_id, id, $3, 'schedule', $2 FROM backup_tasks WHERE id = $1
                     ON CONFLICT DO NOTHING RETURNING id";
        let values = [task.0.into(), scheduled_for.into(), ulid.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, queue, values);
        if let Some(row) = self.conn().query_one_raw(statement).await? {
            return Ok(ScheduledRun::Queued(BackupRunId(row.try_get("", "id")?)));
        }
        self.skip_run(task, scheduled_for, ulid, "Another run of this task was active when it was due.").await
    }

    /// Records that a due time made no run, and tells why.
    ///
    /// # Errors
    /// The database failed.
    pub async fn skip_run(
        &self,
        task: BackupTaskId,
        scheduled_for: DateTime<Utc>,
        ulid: &str,
        why: &str,
    ) -> Result<ScheduledRun, StoreError> {
        let sql =
            "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger, scheduled_for, status, error_message,
                                            completed_at)
                   SELECT team_id, id, $3, 'schedule', $2, 'skipped', $4, now() FROM backup_tasks WHERE id = $1
                   ON CONFLICT DO NOTHING";
        if self.change(sql, [task.0.into(), scheduled_for.into(), ulid.into(), why.into()]).await? != 1 {
            return Ok(ScheduledRun::Exists);
        }
        self.tell_missed(task, scheduled_for, why.to_owned()).await?;
        Ok(ScheduledRun::Skipped)
    }

    /// Notes when the task is due next.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_next_run(&self, task: BackupTaskId, at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let sql = "UPDATE backup_tasks SET next_run_at = $2 WHERE id = $1";
        self.change(sql, [task.0.into(), at.into()]).await?;
        Ok(())
    }
}
