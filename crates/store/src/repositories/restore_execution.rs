//! A worker's writes to a restore it has claimed. Every one says which epoch it believes in: a worker that lost its
//! lease changes nothing and learns it from the answer.

use crate::queue::{self, Job};
use crate::{Store, StoreError, TeamTx, rows};
use holdfast_domain::ids::{RestoreId, TeamId};
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode, Step};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, Value};

/// What a claim won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedRestore {
    /// Whose it is.
    pub team_id: TeamId,
    /// The right to write, until another claim raises it.
    pub epoch: i32,
    /// Counted before any work, from 1.
    pub attempt: i32,
}

/// How a restore ended.
#[derive(Debug)]
pub struct RestoreEnding<'a> {
    /// A final state.
    pub status: RunStatus,
    /// Why, where it did not end well.
    pub failure: Option<&'a Failure>,
    /// What was not restored as it was.
    pub warnings: &'a Warnings,
    /// The final figures.
    pub progress: &'a Progress,
    /// Whether the program on the server was seen gone, where there was one to stop.
    pub process_terminated: Option<bool>,
}

impl Store {
    /// Claims a restore: raises its epoch and counts the attempt. `None`: over, not due, cancelled, out of attempts,
    /// or somebody else's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_restore(
        &self,
        id: RestoreId,
        owner: &str,
        lease_secs: f64,
        max_attempts: i32,
    ) -> Result<Option<ClaimedRestore>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT team_id, epoch, attempt FROM claim_restore($1, $2, $3, $4)",
            [id.0.into(), owner.into(), lease_secs.into(), max_attempts.into()],
        );
        let Some(row) = self.db().query_one_raw(statement).await? else {
            return Ok(None);
        };
        Ok(Some(ClaimedRestore {
            team_id: TeamId(row.try_get("", "team_id")?),
            epoch: row.try_get("", "epoch")?,
            attempt: row.try_get("", "attempt")?,
        }))
    }
}

/// One claimed restore.
pub struct RestoreExecution<'a> {
    tx: &'a TeamTx,
    id: RestoreId,
    epoch: i32,
}

impl TeamTx {
    /// The writes of the worker that claimed restore `id` with `epoch`.
    #[must_use]
    pub fn restore_execution(&self, id: RestoreId, epoch: i32) -> RestoreExecution<'_> {
        RestoreExecution { tx: self, id, epoch }
    }
}

impl RestoreExecution<'_> {
    /// The row, while the lease is ours.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load(&self) -> Result<Option<rows::restores::Model>, StoreError> {
        let row = rows::restores::Entity::find_by_id(self.id.0)
            .filter(rows::restores::Column::TeamId.eq(self.tx.team_id().0))
            .filter(rows::restores::Column::Epoch.eq(self.epoch))
            .filter(rows::restores::Column::Status.is_in(["running", "verifying"]));
        Ok(row.one(self.tx.conn()).await?)
    }

    /// Notes how far it is; `false` when the lease is lost. The lease itself is kept by [`crate::lease`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_progress(&self, progress: &Progress) -> Result<bool, StoreError> {
        let done = self
            .tx
            .conn()
            .execute_raw(self.statement(
                "UPDATE restores SET progress = $4
                 WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')",
                [json(progress)?],
            ))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that something that existed is about to be changed; `false` when the lease is lost, and then it must not be.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_touched(&self) -> Result<bool, StoreError> {
        let done = self
            .tx
            .conn()
            .execute_raw(self.statement(
                "UPDATE restores SET target_touched = true
                 WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')",
                [],
            ))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes the step; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn enter(&self, status: RunStatus, step: Step) -> Result<bool, StoreError> {
        let done = self
            .tx
            .conn()
            .execute_raw(self.statement(
                "UPDATE restores SET status = $4, step = $5
                 WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')",
                [status.as_str().into(), step_name(step).into()],
            ))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the restore; `false` when the lease is lost, and then nothing was written.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, ending: &RestoreEnding<'_>) -> Result<bool, StoreError> {
        let kept = serde_json::to_value(&ending.warnings.kept).map_err(inconsistent)?;
        let done = self
            .tx
            .conn()
            .execute_raw(self.statement(
                "UPDATE restores
                 SET status = $4, error_code = $5, error_message = $6, warnings = $7, warning_count = $8,
                     progress = $9, process_terminated = $10, step = $11, completed_at = now(), lease_until = NULL,
                     sealed_password = NULL, sealed_database_password = NULL
                 WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')",
                [
                    ending.status.as_str().into(),
                    ending.failure.map(|f| f.code.as_str()).into(),
                    ending.failure.map(ToString::to_string).into(),
                    kept.into(),
                    i64::try_from(ending.warnings.count).unwrap_or(i64::MAX).into(),
                    json(ending.progress)?,
                    ending.process_terminated.into(),
                    ending.failure.map(|f| step_name(f.step)).into(),
                ],
            ))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Queues the next attempt, due `delay_secs` from now. `false`: the lease is lost, or somebody asked for the end
    /// meanwhile. Only for an attempt that put nothing into place.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retry_later(&self, delay_secs: f64) -> Result<bool, StoreError> {
        let statement = self.statement(
            "UPDATE restores SET status = 'queued', owner = NULL, lease_until = NULL,
                    not_before = now() + make_interval(secs => $4)
             WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')
               AND cancel_requested_at IS NULL
             RETURNING attempts",
            [delay_secs.into()],
        );
        let Some(row) = self.tx.conn().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let attempts: i32 = row.try_get("", "attempts")?;
        queue::enqueue_after(self.tx, Job::ExecuteRestore(self.id, attempts + 1), delay_secs).await?;
        Ok(true)
    }

    /// Gives the restore back unharmed, for another worker to take at once; the attempt is not counted. For a worker
    /// that shuts down before anything was put into place. `false` as for [`RestoreExecution::retry_later`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn hand_back(&self) -> Result<bool, StoreError> {
        let statement = self.statement(
            "UPDATE restores SET status = 'queued', owner = NULL, lease_until = NULL,
                    attempts = greatest(attempts - 1, 0), not_before = now()
             WHERE id = $1 AND epoch = $2 AND team_id = $3 AND status IN ('running', 'verifying')
               AND cancel_requested_at IS NULL
             RETURNING attempts",
            [],
        );
        let Some(row) = self.tx.conn().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let attempts: i32 = row.try_get("", "attempts")?;
        queue::nudge(self.tx, Job::ExecuteRestore(self.id, attempts + 1), i64::from(self.epoch)).await?;
        Ok(true)
    }

    /// Ends a restore that nobody works on and nobody may: its lease is over, or it was never started. `false` when
    /// somebody took it meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_stray(&self, status: RunStatus, failure: &Failure) -> Result<bool, StoreError> {
        let touched = Failure::new(failure.step, FailureCode::TargetIncomplete, &failure.detail);
        let done = self
            .tx
            .conn()
            .execute_raw(self.statement(
                "UPDATE restores SET status = $4, completed_at = now(),
                        error_code = CASE WHEN target_touched THEN $7 ELSE $5 END,
                        error_message = CASE WHEN target_touched THEN $8 ELSE $6 END,
                        lease_until = NULL, sealed_password = NULL, sealed_database_password = NULL
                 WHERE id = $1 AND epoch = $2 AND team_id = $3
                   AND (status = 'queued' OR (status IN ('running', 'verifying') AND lease_until < now()))",
                [
                    status.as_str().into(),
                    failure.code.as_str().into(),
                    failure.to_string().into(),
                    touched.code.as_str().into(),
                    touched.to_string().into(),
                ],
            ))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    fn statement<const N: usize>(&self, sql: &str, values: [Value; N]) -> Statement {
        let mut all: Vec<Value> = vec![self.id.0.into(), self.epoch.into(), self.tx.team_id().0.into()];
        all.extend(values);
        Statement::from_sql_and_values(DbBackend::Postgres, sql, all)
    }
}

/// The stored form of a step: its wire form.
fn step_name(step: Step) -> String {
    serde_json::to_value(step).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn json(progress: &Progress) -> Result<Value, StoreError> {
    Ok(serde_json::to_value(progress).map_err(inconsistent)?.into())
}

fn inconsistent(error: serde_json::Error) -> StoreError {
    StoreError::Inconsistent { table: "restores", id: "(new value)".to_owned(), problem: error.to_string() }
}
