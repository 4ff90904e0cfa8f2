//! Copies of a backup, the side of those who ask: one more, or an end to one that is being made. What a worker writes
//! stands in `copy_execution`.

use super::handle;
use crate::StoreError;
use crate::queue::{self, Job};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupId, UserId};
use holdfast_entity::backup_copies as table;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};

handle! {
    /// Requests for copies.
    CopyRequests, copy_requests
}

impl CopyRequests<'_> {
    /// Queues a copy of a backup at a destination that has none or a failed one, with its job. `false`: it has one, or
    /// one is being made or deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request(
        &self,
        backup: BackupId,
        destination: BackupDestinationId,
        by: Option<UserId>,
    ) -> Result<bool, StoreError> {
        // Whoever removes what the failed one left has the row until `lease_until`.
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO backup_copies AS c (team_id, backup_id, backup_destination_id, state, requested_by)
             VALUES ($1, $2, $3, 'queued', $4)
             ON CONFLICT (backup_id, backup_destination_id) DO UPDATE
             SET state = 'queued', requested_by = excluded.requested_by, attempts = 0, cancel_requested_at = NULL,
                 error_code = NULL, error_message = NULL, progress = '{}', verified_level = NULL, verified_at = NULL,
                 not_before = greatest(now(), coalesce(c.lease_until, now())), lease_until = NULL
             WHERE c.state = 'failed' AND c.team_id = $1
             RETURNING id, epoch, greatest(0, extract(epoch FROM not_before - now()))::float8 AS delay_secs",
            [self.0.team_id().0.into(), backup.0.into(), destination.0.into(), by.map(|user| user.0).into()],
        );
        let Some(row) = self.0.conn().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let (id, epoch): (i64, i32) = (row.try_get("", "id")?, row.try_get("", "epoch")?);
        let job = Job::CopyBackup(BackupCopyId(id), epoch + 1);
        queue::enqueue_after(self.0, job, row.try_get("", "delay_secs")?).await?;
        Ok(true)
    }

    /// Asks a copy that is being made to stop; one that no worker has is over at once. Returns the row as it then is;
    /// none when there is no such copy.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_cancel(
        &self,
        id: BackupCopyId,
        now: DateTime<Utc>,
    ) -> Result<Option<table::Model>, StoreError> {
        let sql = "UPDATE backup_copies
                   SET cancel_requested_at = $3,
                       error_code = CASE WHEN state = 'queued' THEN 'cancelled' ELSE error_code END,
                       error_message = CASE WHEN state = 'queued' THEN 'It was cancelled.' ELSE error_message END,
                       state = CASE WHEN state = 'queued' THEN 'failed' ELSE state END
                   WHERE id = $1 AND team_id = $2 AND state IN ('queued', 'running')";
        self.0.change(sql, [id.0.into(), self.0.team_id().0.into(), now.into()]).await?;
        self.find(id).await
    }

    /// One, whatever its state.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: BackupCopyId) -> Result<Option<table::Model>, StoreError> {
        let row = table::Entity::find_by_id(id.0).filter(table::Column::TeamId.eq(self.0.team_id().0));
        Ok(row.one(self.0.conn()).await?)
    }
}
