//! A worker's writes to a run it has claimed. Every one says `WHERE epoch = …`: a worker that lost its lease changes
//! nothing and learns it from the answer. Nothing here may end a run as succeeded; `run_commit` alone does.

use crate::queue::{self, Job};
use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupDestinationId, BackupRunId};
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, Step};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};

/// One claimed run.
#[derive(Clone, Copy)]
pub struct RunExecution<'a> {
    pub(super) tx: &'a TeamTx,
    pub(super) id: BackupRunId,
    pub(super) epoch: i32,
}

/// How an attempt ended without a backup.
#[derive(Clone, Copy, Debug)]
pub struct RunEnding<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// The final figures.
    pub progress: &'a Progress,
    /// Whether the program on the server is known to be gone, where it was stopped.
    pub process_terminated: Option<bool>,
}

impl TeamTx {
    /// The writes of the worker that claimed run `id` with `epoch`.
    #[must_use]
    pub fn run_execution(&self, id: BackupRunId, epoch: i32) -> RunExecution<'_> {
        RunExecution { tx: self, id, epoch }
    }
}

impl RunExecution<'_> {
    /// The run's row, whoever holds it.
    ///
    /// # Errors
    /// The database failed, or the row is gone.
    pub async fn row(&self) -> Result<rows::backup_runs::Model, StoreError> {
        rows::backup_runs::Entity::find_by_id(self.id.0).one(self.tx.conn()).await?.ok_or_else(|| {
            StoreError::Inconsistent {
                table: "backup_runs",
                id: self.id.to_string(),
                problem: "the row is gone".to_owned(),
            }
        })
    }

    /// Notes the step (and with it `running` or `verifying`); `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn enter(&self, status: RunStatus, step: Step) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_runs SET status = $3, step = $4
                   WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')";
        let values = [self.id.0.into(), self.epoch.into(), status.as_str().into(), step_name(step).into()];
        Ok(self.tx.change(sql, values).await? == 1)
    }

    /// Notes how far it is; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn progress(&self, progress: &Progress) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_runs SET progress = $3
                   WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')";
        let values = [self.id.0.into(), self.epoch.into(), json(progress)?.into()];
        Ok(self.tx.change(sql, values).await? == 1)
    }

    /// Records an object that is about to be made, so that it is found whatever happens. `None` when the lease is
    /// lost: then it must not be made.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_object(&self, destination: BackupDestinationId, name: &str) -> Result<Option<i64>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO backup_run_objects (team_id, backup_run_id, epoch, backup_destination_id, name)
             SELECT team_id, id, epoch, $3, $4 FROM backup_runs
             WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')
             RETURNING id",
            [self.id.0.into(), self.epoch.into(), destination.0.into(), name.into()],
        );
        let row = self.tx.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "id")).transpose()?)
    }

    /// Ends this attempt and waits `delay_secs` for the next, which is put on the queue in the same transaction.
    /// `false`: the lease is lost, or somebody asked for the end meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retry_later(&self, ending: &RunEnding<'_>, delay_secs: f64) -> Result<bool, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "UPDATE backup_runs SET status = 'queued', owner = NULL, lease_until = NULL, progress = $4,
                    not_before = now() + make_interval(secs => $3)
             WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying') AND cancel_requested_at IS NULL
               AND committed_as IS NULL
             RETURNING attempts",
            [self.id.0.into(), self.epoch.into(), delay_secs.into(), json(ending.progress)?.into()],
        );
        let Some(row) = self.tx.conn().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let attempts: i32 = row.try_get("", "attempts")?;
        self.end_attempt("failed", Some(ending.failure)).await?;
        queue::enqueue_after(self.tx, Job::ExecuteRun(self.id, attempts + 1), delay_secs).await?;
        Ok(true)
    }

    /// Gives the run back unharmed, for another worker to take in `delay_secs`: the attempt is not counted. For a worker
    /// that shuts down, or does not hold the store. `false`: the lease is lost, or somebody asked for the end meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hand_back(&self, delay_secs: f64) -> Result<bool, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "UPDATE backup_runs SET status = 'queued', owner = NULL, lease_until = NULL,
                    attempts = greatest(attempts - 1, 0), not_before = now() + make_interval(secs => $3)
             WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying') AND cancel_requested_at IS NULL
               AND committed_as IS NULL
             RETURNING attempts",
            [self.id.0.into(), self.epoch.into(), delay_secs.into()],
        );
        let Some(row) = self.tx.conn().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let attempts: i32 = row.try_get("", "attempts")?;
        self.end_attempt("abandoned", None).await?;
        queue::hand_over(self.tx, Job::ExecuteRun(self.id, attempts + 1), self.epoch, delay_secs).await?;
        Ok(true)
    }

    /// Ends the run as failed or cancelled; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, status: RunStatus, ending: &RunEnding<'_>) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_runs SET status = $3, step = $4, error_code = $5, error_message = $6, progress = $7,
                          process_terminated = $8, completed_at = now(), lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying') AND committed_as IS NULL";
        let values = [
            self.id.0.into(),
            self.epoch.into(),
            status.as_str().into(),
            step_name(ending.failure.step).into(),
            ending.failure.code.as_str().into(),
            ending.failure.to_string().into(),
            json(ending.progress)?.into(),
            ending.process_terminated.into(),
        ];
        if self.tx.change(sql, values).await? != 1 {
            return Ok(false);
        }
        let outcome = if status == RunStatus::Cancelled { "cancelled" } else { "failed" };
        self.end_attempt(outcome, Some(ending.failure)).await?;
        self.tx.tell_run_ended(self.id, false).await?;
        Ok(true)
    }

    /// Ends a run that nobody works on and nobody may: its lease is over, or it was never started. `false` when
    /// somebody took it meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_stray(&self, status: RunStatus, failure: &Failure) -> Result<bool, StoreError> {
        if self.finish_stray().await? {
            return Ok(true);
        }
        let sql = "UPDATE backup_runs SET status = $3, error_code = $4, error_message = $5, completed_at = now(),
                          lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND committed_as IS NULL
                     AND (status = 'queued' OR (status IN ('running', 'verifying') AND lease_until < now()))";
        let values = [
            self.id.0.into(),
            self.epoch.into(),
            status.as_str().into(),
            failure.code.as_str().into(),
            failure.to_string().into(),
        ];
        if self.tx.change(sql, values).await? != 1 {
            return Ok(false);
        }
        let outcome = if status == RunStatus::Cancelled { "cancelled" } else { "abandoned" };
        self.end_attempt(outcome, Some(failure)).await?;
        self.tx.tell_run_ended(self.id, false).await?;
        Ok(true)
    }

    pub(super) async fn end_attempt(&self, outcome: &str, failure: Option<&Failure>) -> Result<(), StoreError> {
        let sql = "UPDATE backup_run_attempts SET ended_at = now(), outcome = $3, error_code = $4, error_message = $5
                   WHERE backup_run_id = $1 AND epoch = $2 AND ended_at IS NULL";
        let values = [
            self.id.0.into(),
            self.epoch.into(),
            outcome.into(),
            failure.map(|f| f.code.as_str()).into(),
            failure.map(ToString::to_string).into(),
        ];
        self.tx.change(sql, values).await?;
        Ok(())
    }
}

/// The step as it is stored.
pub(super) fn step_name(step: Step) -> String {
    let name = serde_json::to_value(step).ok().and_then(|v| v.as_str().map(str::to_owned));
    name.expect("a unit variant serialises to a string")
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(value).map_err(|e| StoreError::Inconsistent {
        table: "backup_runs",
        id: "(new)".to_owned(),
        problem: e.to_string(),
    })
}
