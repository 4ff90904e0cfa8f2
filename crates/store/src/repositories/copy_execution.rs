//! A worker's writes to a copy that it has claimed, to be made from another copy of the same backup. Every one says which
//! epoch it believes in: a worker that lost its lease changes nothing and learns it from the answer. The copy's objects
//! are recorded before they are made, and the record goes only after they are removed.

use super::run_execution::step_name;
use crate::queue::{self, Job};
use crate::{Store, StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, TeamId};
use holdfast_domain::progress::Progress;
use holdfast_domain::{Failure, Step};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, Value};

impl Store {
    /// Failed copies whose recorded objects may still lie there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn copies_with_leftovers(&self, at_most: i32) -> Result<Vec<(TeamId, BackupCopyId)>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT team_id, backup_copy_id FROM copies_with_leftovers($1)",
            [at_most.into()],
        );
        let rows = self.db().query_all_raw(statement).await?;
        rows.iter()
            .map(|row| Ok((TeamId(row.try_get("", "team_id")?), BackupCopyId(row.try_get("", "backup_copy_id")?))))
            .collect()
    }
}

/// One claimed copy.
pub struct CopyExecution<'a> {
    tx: &'a TeamTx,
    id: BackupCopyId,
    epoch: i32,
}

impl TeamTx {
    /// The writes of the worker that claimed copy `id` with `epoch`.
    #[must_use]
    pub fn copy_execution(&self, id: BackupCopyId, epoch: i32) -> CopyExecution<'_> {
        CopyExecution { tx: self, id, epoch }
    }
}

impl CopyExecution<'_> {
    /// The row, while the lease is ours.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load(&self) -> Result<Option<rows::backup_copies::Model>, StoreError> {
        use rows::backup_copies::{Column, Entity};
        let row =
            Entity::find_by_id(self.id.0).filter(Column::Epoch.eq(self.epoch)).filter(Column::State.eq("running"));
        Ok(row.one(self.tx.conn()).await?)
    }

    /// Notes the step; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn enter(&self, step: Step) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies SET step = $3 WHERE id = $1 AND epoch = $2 AND state = 'running'";
        self.changed(sql, [step_name(step).into()]).await
    }

    /// Notes how far it is; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_progress(&self, progress: &Progress) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies SET progress = $3 WHERE id = $1 AND epoch = $2 AND state = 'running'";
        self.changed(sql, [super::run_execution::json(progress)?.into()]).await
    }

    /// Records the objects that are about to be made: those of copy `from`, which are the same. `false` when the lease is
    /// lost: then none may be made.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_objects(&self, from: BackupCopyId) -> Result<bool, StoreError> {
        // Locked, so that nobody fails or claims it between the look and the record.
        let lock = "UPDATE backup_copies SET step = 'stream' WHERE id = $1 AND epoch = $2 AND state = 'running'";
        if !self.changed(lock, []).await? {
            return Ok(false);
        }
        self.tx.change("DELETE FROM backup_copy_objects WHERE backup_copy_id = $1", [self.id.0.into()]).await?;
        let copy = "INSERT INTO backup_copy_objects (team_id, backup_copy_id, backup_stream_id, kind, part, name, size_bytes, sha256)
                    SELECT team_id, $1, backup_stream_id, kind, part, name, size_bytes, sha256
                    FROM backup_copy_objects WHERE backup_copy_id = $2 ORDER BY id";
        self.tx.change(copy, [self.id.0.into(), from.0.into()]).await?;
        Ok(true)
    }

    /// Makes the copy one of the backup's, whole and verified. `false`: the lease is lost, somebody asked for the end,
    /// or the backup is gone; then nothing was written.
    ///
    /// # Errors
    /// The database failed. After an error of the transaction's own commit the outcome is unknown: see
    /// [`CopyExecution::is_committed`].
    pub async fn commit(&self, verified_level: i16) -> Result<bool, StoreError> {
        let destination = self.load().await?.map(|copy| BackupDestinationId(copy.backup_destination_id));
        let sql = "UPDATE backup_copies c
                   SET state = 'committed', verified_level = $3, verified_at = now(), error_code = NULL,
                       error_message = NULL, step = NULL, owner = NULL, lease_until = NULL
                   WHERE c.id = $1 AND c.epoch = $2 AND c.state = 'running' AND c.cancel_requested_at IS NULL
                     AND EXISTS (SELECT 1 FROM backups b WHERE b.id = c.backup_id AND b.deleted_at IS NULL)";
        let is_committed = self.changed(sql, [verified_level.into()]).await?;
        if let Some(destination) = destination.filter(|_| is_committed) {
            self.tx.reachability().note_destination(destination, Ok(())).await?;
        }
        Ok(is_committed)
    }

    /// Whether this epoch's commit is in the database; waits for one that is still under way.
    ///
    /// # Errors
    /// The database failed; nothing is known then.
    pub async fn is_committed(&self) -> Result<bool, StoreError> {
        let statement = self.statement(
            "SELECT epoch = $2 AND state = 'committed' AS is_committed FROM backup_copies WHERE id = $1 FOR UPDATE",
            [],
        );
        let row = self.tx.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "is_committed")).transpose()?.unwrap_or(false))
    }

    /// Ends it as failed; its recorded objects are to be removed then. `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fail(&self, failure: &Failure) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies
                   SET state = 'failed', error_code = $3, error_message = $4, step = NULL, owner = NULL, lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND state = 'running'";
        self.changed(sql, [failure.code.as_str().into(), failure.to_string().into()]).await
    }

    /// Queues the next attempt, due `delay_secs` from now. `false`: the lease is lost, or somebody asked for the end
    /// meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retry_later(&self, failure: &Failure, delay_secs: f64) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies
                   SET state = 'queued', step = NULL, owner = NULL, lease_until = NULL,
                       not_before = now() + make_interval(secs => $3), error_code = $4, error_message = $5
                   WHERE id = $1 AND epoch = $2 AND state = 'running' AND cancel_requested_at IS NULL";
        let values = [delay_secs.into(), failure.code.as_str().into(), failure.to_string().into()];
        if !self.changed(sql, values).await? {
            return Ok(false);
        }
        queue::enqueue_after(self.tx, Job::CopyBackup(self.id, self.epoch + 1), delay_secs).await?;
        Ok(true)
    }

    /// Gives it back unharmed, for another worker to take at once; the attempt is not counted. `false` as for
    /// [`CopyExecution::retry_later`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn hand_back(&self) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies
                   SET state = 'queued', step = NULL, owner = NULL, lease_until = NULL,
                       attempts = greatest(attempts - 1, 0), not_before = now()
                   WHERE id = $1 AND epoch = $2 AND state = 'running' AND cancel_requested_at IS NULL";
        if !self.changed(sql, []).await? {
            return Ok(false);
        }
        queue::enqueue(self.tx, Job::CopyBackup(self.id, self.epoch + 1)).await?;
        Ok(true)
    }

    /// Ends a copy that nobody works on and nobody may. `false` when somebody took it meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_stray(&self, failure: &Failure) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_copies
                   SET state = 'failed', error_code = $3, error_message = $4, step = NULL, owner = NULL, lease_until = NULL
                   WHERE id = $1 AND epoch = $2
                     AND (state = 'queued' OR (state = 'running' AND lease_until < now()))";
        self.changed(sql, [failure.code.as_str().into(), failure.to_string().into()]).await
    }

    async fn changed<const N: usize>(&self, sql: &'static str, values: [Value; N]) -> Result<bool, StoreError> {
        let all = [self.id.0.into(), self.epoch.into()].into_iter().chain(values);
        Ok(self.tx.change(sql, all).await? == 1)
    }

    fn statement<const N: usize>(&self, sql: &str, values: [Value; N]) -> Statement {
        let all = [self.id.0.into(), self.epoch.into()].into_iter().chain(values);
        Statement::from_sql_and_values(DbBackend::Postgres, sql, all)
    }
}
