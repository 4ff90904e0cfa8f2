//! `backups`, the reading side: restore points, their streams, copies and recorded objects.

use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupId};
use holdfast_entity::{backup_copies, backup_copy_objects, backup_streams, backups as table, own_backups};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::BTreeMap;

handle! {
    /// The team's restore points.
    Backups, backups
}

/// Which backups are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct BackupFilter {
    /// Of this task.
    pub backup_task_id: Option<i64>,
    /// From this server.
    pub remote_server_id: Option<i64>,
    /// Created at or after.
    pub since: Option<DateTime<Utc>>,
    /// In the recycle bin, instead of those that are not.
    pub is_recycled: bool,
    /// Whether they are held.
    pub is_held: Option<bool>,
    /// Whether their run ended with warnings.
    pub has_warnings: Option<bool>,
    /// `managed`, `recipients`, `password`, `none`.
    pub encryption_mode: Option<String>,
    /// Somewhere in what the task was called then.
    pub search: Option<String>,
}

/// A backup's parts.
#[derive(Clone, Debug)]
pub struct BackupParts {
    /// By position.
    pub streams: Vec<backup_streams::Model>,
    /// One a destination, by id.
    pub copies: Vec<backup_copies::Model>,
}

impl Backups<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::DeletedAt.is_null())
    }

    /// A page of them, deleted ones left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &BackupFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.backup_task_id, |query, id| query.filter(Column::BackupTaskId.eq(id)))
            .apply_if(filter.remote_server_id, |query, id| query.filter(Column::RemoteServerId.eq(id)))
            .apply_if(filter.since, |query, since| query.filter(Column::CreatedAt.gte(since)))
            .apply_if(filter.is_held, |query, is_held| query.filter(Column::Held.eq(is_held)))
            .apply_if(filter.has_warnings, |query, has| query.filter(Column::HasWarnings.eq(has)))
            .apply_if(filter.encryption_mode.as_deref(), |query, mode| query.filter(Column::EncryptionMode.eq(mode)))
            .apply_if(filter.search.as_deref(), |query, text| query.filter(has_text(Column::TaskLabel, text)));
        let recycled = Column::RecycledAt;
        let select = select.filter(if filter.is_recycled { recycled.is_not_null() } else { recycled.is_null() });
        list_labelled(select, Column::Id, Column::TaskLabel, page, self.0.conn()).await
    }

    /// One that is not deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: BackupId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// Whether anything of ours lies at a destination, or is about to: what is being deleted is still there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_copies_at(&self, id: BackupDestinationId) -> Result<bool, StoreError> {
        let own = own_backups::Entity::find()
            .filter(own_backups::Column::TeamId.eq(self.0.team_id().0))
            .filter(own_backups::Column::BackupDestinationId.eq(id.0));
        let count = backup_copies::Entity::find()
            .filter(backup_copies::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_copies::Column::BackupDestinationId.eq(id.0))
            .filter(backup_copies::Column::State.is_in(["queued", "running", "committed", "recycled", "deleting"]))
            .count(self.0.conn())
            .await?;
        Ok(count > 0 || own.count(self.0.conn()).await? > 0)
    }

    /// The backups that runs made, deleted or not: run → backup.
    ///
    /// # Errors
    /// The database failed.
    pub async fn of_runs(&self, runs: &[i64]) -> Result<BTreeMap<i64, i64>, StoreError> {
        let pairs: Vec<(i64, i64)> = table::Entity::find()
            .select_only()
            .column(table::Column::BackupRunId)
            .column(table::Column::Id)
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::BackupRunId.is_in(runs.iter().copied()))
            .into_tuple()
            .all(self.0.conn())
            .await?;
        Ok(pairs.into_iter().collect())
    }

    /// Streams and copies of one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn parts(&self, id: BackupId) -> Result<BackupParts, StoreError> {
        let streams = backup_streams::Entity::find()
            .filter(backup_streams::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_streams::Column::BackupId.eq(id.0))
            .order_by_asc(backup_streams::Column::Position)
            .all(self.0.conn())
            .await?;
        let copies = backup_copies::Entity::find()
            .filter(backup_copies::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_copies::Column::BackupId.eq(id.0))
            .order_by_asc(backup_copies::Column::Id)
            .all(self.0.conn())
            .await?;
        Ok(BackupParts { streams, copies })
    }

    /// Copies of several backups, by id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn copies_of(&self, ids: &[i64]) -> Result<Vec<backup_copies::Model>, StoreError> {
        Ok(backup_copies::Entity::find()
            .filter(backup_copies::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_copies::Column::BackupId.is_in(ids.iter().copied()))
            .order_by_asc(backup_copies::Column::Id)
            .all(self.0.conn())
            .await?)
    }

    /// Recorded objects of a copy, in the order of stream and part.
    ///
    /// # Errors
    /// The database failed.
    pub async fn objects(&self, copy: BackupCopyId) -> Result<Vec<backup_copy_objects::Model>, StoreError> {
        Ok(backup_copy_objects::Entity::find()
            .filter(backup_copy_objects::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_copy_objects::Column::BackupCopyId.eq(copy.0))
            .order_by_asc(backup_copy_objects::Column::Id)
            .all(self.0.conn())
            .await?)
    }
}
