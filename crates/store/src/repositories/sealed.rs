//! Rows with sealed columns, for the worker, which alone can open them. Nothing here opens anything.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupDestinationId, BackupTaskId, RemoteServerId, ScriptId};
use holdfast_vault::team_keys::TeamKeyPurpose;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

/// One team's rows that carry sealed columns. Deleted ones are found too: the caller decides.
pub struct Sealed<'a> {
    tx: &'a TeamTx,
}

impl TeamTx {
    /// Rows with sealed columns.
    #[must_use]
    pub fn sealed(&self) -> Sealed<'_> {
        Sealed { tx: self }
    }
}

impl Sealed<'_> {
    /// The team's key: that `version`, or the newest.
    ///
    /// # Errors
    /// The database failed.
    pub async fn team_key(
        &self,
        purpose: TeamKeyPurpose,
        version: Option<i32>,
    ) -> Result<Option<rows::team_keys::Model>, StoreError> {
        use rows::team_keys::{Column, Entity};
        let mut query = Entity::find().filter(Column::Purpose.eq(purpose.as_str()));
        if let Some(version) = version {
            query = query.filter(Column::Version.eq(version));
        }
        Ok(query.order_by_desc(Column::Version).one(self.tx.conn()).await?)
    }

    /// Every version of the team's key, the newest first: an old backup needs the key of its time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn team_keys(&self, purpose: TeamKeyPurpose) -> Result<Vec<rows::team_keys::Model>, StoreError> {
        use rows::team_keys::{Column, Entity};
        let query = Entity::find().filter(Column::Purpose.eq(purpose.as_str())).order_by_desc(Column::Version);
        Ok(query.all(self.tx.conn()).await?)
    }

    /// A server.
    ///
    /// # Errors
    /// The database failed.
    pub async fn server(&self, id: RemoteServerId) -> Result<Option<rows::remote_servers::Model>, StoreError> {
        Ok(rows::remote_servers::Entity::find_by_id(id.0).one(self.tx.conn()).await?)
    }

    /// A task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn task(&self, id: BackupTaskId) -> Result<Option<rows::backup_tasks::Model>, StoreError> {
        Ok(rows::backup_tasks::Entity::find_by_id(id.0).one(self.tx.conn()).await?)
    }

    /// A script.
    ///
    /// # Errors
    /// The database failed.
    pub async fn script(&self, id: ScriptId) -> Result<Option<rows::scripts::Model>, StoreError> {
        Ok(rows::scripts::Entity::find_by_id(id.0).one(self.tx.conn()).await?)
    }

    /// The team's secrets for scripts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn script_secrets(&self) -> Result<Vec<rows::script_secrets::Model>, StoreError> {
        Ok(rows::script_secrets::Entity::find().all(self.tx.conn()).await?)
    }

    /// A destination.
    ///
    /// # Errors
    /// The database failed.
    pub async fn destination(
        &self,
        id: BackupDestinationId,
    ) -> Result<Option<rows::backup_destinations::Model>, StoreError> {
        Ok(rows::backup_destinations::Entity::find_by_id(id.0).one(self.tx.conn()).await?)
    }

    /// Notes in which store a local destination lives, once: the first worker that writes there decides. Whether it is
    /// this store.
    ///
    /// # Errors
    /// The database failed.
    pub async fn bind_store(&self, id: BackupDestinationId, store_id: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE backup_destinations SET store_id = $2 WHERE id = $1 AND (store_id IS NULL OR store_id = $2)";
        Ok(self.tx.change(sql, [id.0.into(), store_id.into()]).await? == 1)
    }

    /// The team's own row.
    ///
    /// # Errors
    /// The database failed, or the team is gone.
    pub async fn team(&self) -> Result<rows::teams::Model, StoreError> {
        let team_id = self.tx.team_id();
        rows::teams::Entity::find_by_id(team_id.0).one(self.tx.conn()).await?.ok_or_else(|| StoreError::Inconsistent {
            table: "teams",
            id: team_id.to_string(),
            problem: "the row is gone".to_owned(),
        })
    }
}
