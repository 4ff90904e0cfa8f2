//! `restores`, the side of those who ask: create, look, cancel. What a worker writes stands in `restore_execution`.

use super::cancelling::cancel_sql;
use super::{Listed, PageRequest, handle, has_text, list};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupCopyId, BackupId, RemoteServerId, RestoreId, UserId};
use holdfast_domain::restore::RestoreSpec;
use holdfast_entity::{backups, restores as table};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

handle! {
    /// The team's restores.
    Restores, restores
}

/// A restore to be queued.
#[derive(Clone)]
pub struct NewRestore {
    /// Who asks.
    pub user_id: Option<UserId>,
    /// What is given back.
    pub backup_id: BackupId,
    /// From which copy; none = the worker chooses.
    pub backup_copy_id: Option<BackupCopyId>,
    /// To which server.
    pub remote_server_id: RemoteServerId,
    /// What to do there.
    pub spec: RestoreSpec,
    /// What the sealed column is bound to.
    pub seal_id: Uuid,
    /// Sealed password of the backup, where one was given.
    pub sealed_password: Option<Vec<u8>>,
    /// Sealed password of the target database, where one was given.
    pub sealed_database_password: Option<Vec<u8>>,
}

/// Which restores are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct RestoreFilter {
    /// Of this backup.
    pub backup_id: Option<i64>,
    /// In this state.
    pub status: Option<String>,
    /// To this server.
    pub remote_server_id: Option<i64>,
    /// Somewhere in what the backup's task was called then.
    pub search: Option<String>,
}

impl Restores<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &RestoreFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let team = self.0.team_id().0;
        let select = self
            .select()
            .apply_if(filter.backup_id, |query, id| query.filter(Column::BackupId.eq(id)))
            .apply_if(filter.status.as_deref(), |query, text| query.filter(Column::Status.eq(text)))
            .apply_if(filter.remote_server_id, |query, id| query.filter(Column::RemoteServerId.eq(id)))
            .apply_if(filter.search.as_deref(), |query, text| {
                let named = backups::Entity::find()
                    .select_only()
                    .column(backups::Column::Id)
                    .filter(backups::Column::TeamId.eq(team))
                    .filter(has_text(backups::Column::TaskLabel, text));
                query.filter(Column::BackupId.in_subquery(named.into_query()))
            });
        list(select, table::Column::Id, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: RestoreId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// Queues a restore. The caller enqueues its job in the same transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_queued(&self, new: NewRestore, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let spec = serde_json::to_value(&new.spec).map_err(|e| StoreError::Inconsistent {
            table: "restores",
            id: "new".to_owned(),
            problem: e.to_string(),
        })?;
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.map(|u| u.0)),
            backup_id: Set(new.backup_id.0),
            backup_copy_id: Set(new.backup_copy_id.map(|c| c.0)),
            remote_server_id: Set(new.remote_server_id.0),
            spec: Set(spec),
            seal_id: Set(new.seal_id),
            sealed_password: Set(new.sealed_password),
            sealed_database_password: Set(new.sealed_database_password),
            created_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Asks an unfinished restore to stop; one that no worker has is over at once. Returns the row as it then is; none
    /// when there is no such restore.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_cancel(&self, id: RestoreId, now: DateTime<Utc>) -> Result<Option<table::Model>, StoreError> {
        let values = [id.0.into(), self.0.team_id().0.into(), now.into()];
        let changed = self.0.change(cancel_sql!("restores"), values).await?;
        tracing::debug!(restore = %id, rows = changed, "cancel requested");
        self.find(id).await
    }
}
