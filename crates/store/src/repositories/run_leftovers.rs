//! Objects that ended attempts may have left at a destination. Found by record; an attempt that may still commit is
//! never among them, even when its lease is over: its epoch must be raised or its run ended first.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::BackupRunId;
use sea_orm::{DbBackend, FromQueryResult, Statement};

impl TeamTx {
    /// Recorded objects of `run` that no attempt can commit any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run_leftovers(&self, run: BackupRunId) -> Result<Vec<rows::backup_run_objects::Model>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT o.* FROM backup_run_objects o JOIN backup_runs r ON r.id = o.backup_run_id
             WHERE r.id = $1 AND o.state = 'writing'
               AND (o.epoch < r.epoch OR r.status NOT IN ('running', 'verifying'))
             ORDER BY o.id",
            [run.0.into()],
        );
        Ok(rows::backup_run_objects::Model::find_by_statement(statement).all(self.conn()).await?)
    }

    /// Takes a recorded object for `secs`, to remove it. `false`: it is gone, or somebody else is removing it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_leftover(&self, object_id: i64, secs: f64) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_run_objects SET removing_until = now() + make_interval(secs => $2)
                   WHERE id = $1 AND state = 'writing' AND (removing_until IS NULL OR removing_until < now())";
        Ok(self.change(sql, [object_id.into(), secs.into()]).await? == 1)
    }

    /// Lets the record of an object go that is still there: somebody may try again in `secs`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn give_back_leftover(&self, object_id: i64, secs: f64) -> Result<(), StoreError> {
        let sql = "UPDATE backup_run_objects SET removing_until = now() + make_interval(secs => $2)
                   WHERE id = $1 AND state = 'writing'";
        self.change(sql, [object_id.into(), secs.into()]).await?;
        Ok(())
    }

    /// Notes that a recorded object is gone from its destination.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_object_removed(&self, object_id: i64) -> Result<(), StoreError> {
        let sql = "UPDATE backup_run_objects SET state = 'removed' WHERE id = $1 AND state = 'writing'";
        self.change(sql, [object_id.into()]).await?;
        Ok(())
    }
}
