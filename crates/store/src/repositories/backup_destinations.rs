//! `backup_destinations`: where bytes go. Secrets come in sealed and leave sealed.

use super::definitions::definitions;
use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupDestinationId, UserId};
use holdfast_entity::{backup_destinations as table, backup_task_destinations, backup_tasks};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QuerySelect, QueryTrait, Statement,
};
use uuid::Uuid;

handle! {
    /// The team's destinations.
    BackupDestinations, backup_destinations
}

/// A destination to be registered.
#[derive(Clone)]
pub struct NewBackupDestination {
    /// Who registers it.
    pub user_id: UserId,
    /// Its name on the page.
    pub label: String,
    /// `local`, `s3`, `custom_s3`, `digitalocean_spaces`.
    pub kind: String,
    /// What is not secret, by type.
    pub config: serde_json::Value,
    /// What the sealed columns are bound to.
    pub seal_id: Uuid,
    /// Sealed S3 access key.
    pub sealed_access_key: Option<Vec<u8>>,
    /// Sealed S3 secret key.
    pub sealed_secret_key: Option<Vec<u8>>,
    /// Runs that may write to it at the same time; none = no limit.
    pub runs_at_once: Option<i32>,
}

/// Which destinations are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct DestinationFilter {
    /// Somewhere in the label.
    pub search: Option<String>,
    /// `local`, `s3`, `custom_s3`, `digitalocean_spaces`.
    pub kind: Option<String>,
}

definitions!(BackupDestinations, BackupDestinationId);

impl BackupDestinations<'_> {
    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(
        &self,
        page: PageRequest,
        filter: &DestinationFilter,
    ) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.search.as_deref(), |query, text| query.filter(has_text(Column::Label, text)))
            .apply_if(filter.kind.as_deref(), |query, text| query.filter(Column::Type.eq(text)));
        list_labelled(select, Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// How many of `ids` are the team's and not deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_of(&self, ids: &[i64]) -> Result<u64, StoreError> {
        Ok(self.select().filter(table::Column::Id.is_in(ids.iter().copied())).count(self.0.conn()).await?)
    }

    /// Backups that lie at one, and their stored bytes, by record.
    ///
    /// # Errors
    /// The database failed.
    pub async fn held(&self, id: BackupDestinationId) -> Result<(i64, i64), StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT count(DISTINCT c.id) AS copies, coalesce(sum(o.size_bytes), 0)::bigint AS bytes
             FROM backup_copies c LEFT JOIN backup_copy_objects o ON o.backup_copy_id = c.id
             WHERE c.team_id = $1 AND c.backup_destination_id = $2 AND c.state IN ('committed', 'recycled', 'deleting')",
            [self.0.team_id().0.into(), id.0.into()],
        );
        match self.0.conn().query_one_raw(statement).await? {
            Some(row) => Ok((row.try_get("", "copies")?, row.try_get("", "bytes")?)),
            None => Ok((0, 0)),
        }
    }

    /// Registers one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create(&self, new: NewBackupDestination, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            label: Set(new.label),
            r#type: Set(new.kind),
            config: Set(new.config),
            seal_id: Set(new.seal_id),
            sealed_access_key: Set(new.sealed_access_key),
            sealed_secret_key: Set(new.sealed_secret_key),
            runs_at_once: Set(new.runs_at_once),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Tasks (not deleted) that write to it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks_using(&self, id: BackupDestinationId) -> Result<Vec<backup_tasks::Model>, StoreError> {
        let task_ids: Vec<i64> = backup_task_destinations::Entity::find()
            .filter(backup_task_destinations::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_task_destinations::Column::BackupDestinationId.eq(id.0))
            .all(self.0.conn())
            .await?
            .into_iter()
            .map(|row| row.backup_task_id)
            .collect();
        Ok(backup_tasks::Entity::find()
            .filter(backup_tasks::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_tasks::Column::Id.is_in(task_ids))
            .filter(backup_tasks::Column::DeletedAt.is_null())
            .all(self.0.conn())
            .await?)
    }
}
