//! What failed copies left at their destinations, by record. A new attempt makes objects under the same names, because
//! one manifest fits every copy; so whoever removes them holds the row for a time, and no attempt begins before it is over.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupRunId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, Statement,
};

/// A failed copy that the caller alone may clean for a time.
#[derive(Clone, Debug)]
pub struct CopyToClean {
    /// The copy; its epoch is the caller's.
    pub copy: rows::backup_copies::Model,
    /// What may lie there, the manifest first.
    pub objects: Vec<rows::backup_copy_objects::Model>,
}

impl TeamTx {
    /// Takes a failed copy for `secs`, to remove what is recorded of it. `None`: it is not failed any more, or somebody
    /// else has it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_copy_to_clean(&self, id: BackupCopyId, secs: f64) -> Result<Option<CopyToClean>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "UPDATE backup_copies SET epoch = epoch + 1, lease_until = now() + make_interval(secs => $2)
             WHERE id = $1 AND state = 'failed' AND (lease_until IS NULL OR lease_until < now()) RETURNING id",
            [id.0.into(), secs.into()],
        );
        if self.conn().query_one_raw(statement).await?.is_none() {
            return Ok(None);
        }
        let copy = rows::backup_copies::Entity::find_by_id(id.0).one(self.conn()).await?;
        let Some(copy) = copy else { return Ok(None) };
        let mut objects = rows::backup_copy_objects::Entity::find()
            .filter(rows::backup_copy_objects::Column::BackupCopyId.eq(id.0))
            .order_by_asc(rows::backup_copy_objects::Column::Id)
            .all(self.conn())
            .await?;
        objects.sort_by_key(|object| object.kind != "manifest");
        Ok(Some(CopyToClean { copy, objects }))
    }

    /// Where a copy lies.
    ///
    /// # Errors
    /// The database failed.
    pub async fn destination_of_copy(
        &self,
        id: BackupCopyId,
    ) -> Result<Option<rows::backup_destinations::Model>, StoreError> {
        match rows::backup_copies::Entity::find_by_id(id.0).one(self.conn()).await? {
            Some(copy) => self.sealed().destination(BackupDestinationId(copy.backup_destination_id)).await,
            None => Ok(None),
        }
    }

    /// Forgets the objects of a failed copy: they are gone. Only for whoever took it with `epoch`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_copy_objects(&self, id: BackupCopyId, epoch: i32) -> Result<(), StoreError> {
        let free = "UPDATE backup_copies SET lease_until = NULL WHERE id = $1 AND epoch = $2 AND state = 'failed'";
        if self.change(free, [id.0.into(), epoch.into()]).await? == 1 {
            self.change("DELETE FROM backup_copy_objects WHERE backup_copy_id = $1", [id.0.into()]).await?;
        }
        Ok(())
    }

    /// Whether the run that made a backup may still have something unfinished at `destination`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_run_leftovers_at(
        &self,
        run: BackupRunId,
        destination: BackupDestinationId,
    ) -> Result<bool, StoreError> {
        use rows::backup_run_objects::{Column, Entity};
        let count = Entity::find()
            .filter(Column::BackupRunId.eq(run.0))
            .filter(Column::BackupDestinationId.eq(destination.0))
            .filter(Column::State.eq("writing"))
            .count(self.conn())
            .await?;
        Ok(count > 0)
    }
}
