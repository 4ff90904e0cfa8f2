//! What a run's scripts leave in its row: that some are owed to its server, and how a run ends whose backup is recorded while
//! its scripts on success run. Nothing here can take a recorded backup back.

use super::run_execution::{RunExecution, json};
use crate::{Store, StoreError, TeamTx};
use holdfast_domain::ids::{BackupRunId, TeamId};
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// A run that is over and owes scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwingRun {
    /// Whose.
    pub team_id: TeamId,
    /// Which.
    pub id: BackupRunId,
    /// Its epoch.
    pub epoch: i32,
}

impl RunExecution<'_> {
    /// Notes that scripts before begin, so that those `always` after are owed, and takes over what older runs of the task
    /// still owe. `false` when the lease is lost: then none may begin.
    ///
    /// # Errors
    /// The database failed.
    pub async fn owe_scripts(&self) -> Result<bool, StoreError> {
        let owe = "UPDATE backup_runs SET scripts_owed_at = coalesce(scripts_owed_at, now())
                   WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')";
        if self.tx.change(owe, [self.id.0.into(), self.epoch.into()]).await? != 1 {
            return Ok(false);
        }
        let take_over = "UPDATE backup_runs o SET scripts_owed_at = NULL FROM backup_runs r
                         WHERE r.id = $1 AND o.backup_task_id = r.backup_task_id AND o.id <> r.id
                           AND o.scripts_owed_at IS NOT NULL";
        self.tx.change(take_over, [self.id.0.into()]).await?;
        Ok(true)
    }

    /// Notes that nothing is owed any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn owes_no_scripts(&self) -> Result<(), StoreError> {
        let sql = "UPDATE backup_runs SET scripts_owed_at = NULL WHERE id = $1 AND epoch = $2";
        self.tx.change(sql, [self.id.0.into(), self.epoch.into()]).await?;
        Ok(())
    }

    /// Ends a run whose backup is recorded, as it was recorded, or with what its last scripts add. `false` when the lease is
    /// lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish(&self, more: &Warnings) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_runs
                   SET status = CASE WHEN $3::bigint > 0 AND committed_as = 'succeeded' THEN 'succeeded_with_warnings'
                                     ELSE committed_as END,
                       warnings = warnings || $4::jsonb, warning_count = warning_count + $3::bigint,
                       completed_at = now(), lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying') AND committed_as IS NOT NULL
                   RETURNING status";
        self.finish_by(sql, more).await
    }

    /// As [`RunExecution::finish`], for a run that nobody works on any more.
    pub(super) async fn finish_stray(&self) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_runs
                   SET status = CASE WHEN $3::bigint > 0 AND committed_as = 'succeeded' THEN 'succeeded_with_warnings'
                                     ELSE committed_as END,
                       warnings = warnings || $4::jsonb, warning_count = warning_count + $3::bigint,
                       completed_at = now(), lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND committed_as IS NOT NULL
                     AND (status = 'queued' OR (status IN ('running', 'verifying') AND lease_until < now()))
                   RETURNING status";
        self.finish_by(sql, &unfinished_scripts()).await
    }

    async fn finish_by(&self, sql: &'static str, more: &Warnings) -> Result<bool, StoreError> {
        let count = i64::try_from(more.count).unwrap_or(i64::MAX);
        let values = [self.id.0.into(), self.epoch.into(), count.into(), json(&more.kept)?.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(row) = self.tx.conn().query_one_raw(statement).await? else { return Ok(false) };
        let status: String = row.try_get("", "status")?;
        let status = status.parse::<RunStatus>().map_err(|error| StoreError::Inconsistent {
            table: "backup_runs",
            id: self.id.to_string(),
            problem: error.to_string(),
        })?;
        self.end_well(status).await?;
        Ok(true)
    }
}

/// What is said of scripts on success whose worker disappeared.
#[must_use]
pub fn unfinished_scripts() -> Warnings {
    let mut warnings = Warnings::default();
    warnings.push(Warning {
        code: WarningCode::ScriptFailed,
        path: None,
        message: "The worker disappeared while the scripts on success ran; they may not have run to their end."
            .to_owned(),
    });
    warnings
}

impl TeamTx {
    /// Takes what a run that is over owes, for `hold_secs`: how often it was taken, this time included. `None` when somebody
    /// else has it, or nothing is owed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_owed_scripts(&self, run: BackupRunId, hold_secs: f64) -> Result<Option<i32>, StoreError> {
        let sql = "UPDATE backup_runs SET scripts_retry_at = now() + make_interval(secs => $2), scripts_tries = scripts_tries + 1
                   WHERE id = $1 AND scripts_owed_at IS NOT NULL AND scripts_retry_at <= now()
                     AND status NOT IN ('queued', 'running', 'verifying')
                   RETURNING scripts_tries";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [run.0.into(), hold_secs.into()]);
        let row = self.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "scripts_tries")).transpose()?)
    }

    /// What was taken could not be paid: again in `delay_secs`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn owe_scripts_until(&self, run: BackupRunId, delay_secs: f64) -> Result<(), StoreError> {
        let sql = "UPDATE backup_runs SET scripts_retry_at = now() + make_interval(secs => $2)
                   WHERE id = $1 AND scripts_owed_at IS NOT NULL";
        self.change(sql, [run.0.into(), delay_secs.into()]).await?;
        Ok(())
    }
}

impl Store {
    /// Runs that are over and owe scripts to their servers.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_owing_scripts(&self, at_most: i32) -> Result<Vec<OwingRun>, StoreError> {
        let sql = "SELECT team_id, backup_run_id, epoch FROM runs_owing_scripts($1)";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [at_most.into()]);
        let rows = self.db().query_all_raw(statement).await?;
        let owing = |row: sea_orm::QueryResult| {
            Ok(OwingRun {
                team_id: TeamId(row.try_get("", "team_id")?),
                id: BackupRunId(row.try_get("", "backup_run_id")?),
                epoch: row.try_get("", "epoch")?,
            })
        };
        rows.into_iter().map(owing).collect()
    }
}
