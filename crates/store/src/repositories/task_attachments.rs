//! Tags and notification streams of tasks. One query a list, however many tasks there are on its page.

use super::handle;
use crate::StoreError;
use holdfast_domain::ids::BackupTaskId;
use holdfast_entity::{
    backup_task_notification_streams as task_streams, backup_task_tags as task_tags, notification_streams, tags,
};
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};
use std::collections::BTreeMap;

handle! {
    /// What is attached to the team's tasks.
    TaskAttachments, task_attachments
}

/// A tag on a task.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct AttachedTag {
    /// On which task.
    pub backup_task_id: i64,
    /// Which.
    pub id: i64,
    /// Its word.
    pub label: String,
}

impl TaskAttachments<'_> {
    /// How many of `ids` are tags of the team; they stay until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_tags(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let select = tags::Entity::find()
            .filter(tags::Column::TeamId.eq(self.0.team_id().0))
            .filter(tags::Column::Id.is_in(ids.iter().copied()));
        // Whoever deletes one waits until they are attached.
        Ok(select.lock(LockType::KeyShare).all(self.0.conn()).await?.len() as u64)
    }

    /// How many of `ids` are notification streams of the team; they stay until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_streams(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let select = notification_streams::Entity::find()
            .filter(notification_streams::Column::TeamId.eq(self.0.team_id().0))
            .filter(notification_streams::Column::Id.is_in(ids.iter().copied()));
        Ok(select.lock(LockType::KeyShare).all(self.0.conn()).await?.len() as u64)
    }

    /// Notification streams of the team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_all_streams(&self) -> Result<u64, StoreError> {
        let select =
            notification_streams::Entity::find().filter(notification_streams::Column::TeamId.eq(self.0.team_id().0));
        Ok(select.count(self.0.conn()).await?)
    }

    /// Replaces the tags of a task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_tags(&self, task: BackupTaskId, ids: &[i64]) -> Result<(), StoreError> {
        let team = self.0.team_id().0;
        task_tags::Entity::delete_many()
            .filter(task_tags::Column::TeamId.eq(team))
            .filter(task_tags::Column::BackupTaskId.eq(task.0))
            .exec(self.0.conn())
            .await?;
        if ids.is_empty() {
            return Ok(());
        }
        let rows = ids.iter().map(|id| task_tags::ActiveModel {
            team_id: Set(team),
            backup_task_id: Set(task.0),
            tag_id: Set(*id),
        });
        task_tags::Entity::insert_many(rows).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }

    /// Replaces the notification streams of a task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_streams(&self, task: BackupTaskId, ids: &[i64]) -> Result<(), StoreError> {
        let team = self.0.team_id().0;
        task_streams::Entity::delete_many()
            .filter(task_streams::Column::TeamId.eq(team))
            .filter(task_streams::Column::BackupTaskId.eq(task.0))
            .exec(self.0.conn())
            .await?;
        if ids.is_empty() {
            return Ok(());
        }
        let rows = ids.iter().map(|id| task_streams::ActiveModel {
            team_id: Set(team),
            backup_task_id: Set(task.0),
            notification_stream_id: Set(*id),
        });
        task_streams::Entity::insert_many(rows).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }

    /// Tags of each of `tasks`, by id; a task without any is missing from the map.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tags_of(&self, tasks: &[i64]) -> Result<BTreeMap<i64, Vec<AttachedTag>>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT x.backup_task_id, t.id, t.label FROM backup_task_tags x JOIN tags t ON t.id = x.tag_id
             WHERE x.team_id = $1 AND t.team_id = $1 AND x.backup_task_id = ANY ($2) ORDER BY t.id",
            [self.0.team_id().0.into(), tasks.to_vec().into()],
        );
        let mut map: BTreeMap<i64, Vec<AttachedTag>> = BTreeMap::new();
        for row in self.0.conn().query_all_raw(statement).await? {
            let tag = AttachedTag::from_query_result(&row, "")?;
            map.entry(tag.backup_task_id).or_default().push(tag);
        }
        Ok(map)
    }

    /// Ids of the notification streams of each of `tasks`, ascending; a task without any is missing from the map.
    ///
    /// # Errors
    /// The database failed.
    pub async fn streams_of(&self, tasks: &[i64]) -> Result<BTreeMap<i64, Vec<i64>>, StoreError> {
        let rows = task_streams::Entity::find()
            .filter(task_streams::Column::TeamId.eq(self.0.team_id().0))
            .filter(task_streams::Column::BackupTaskId.is_in(tasks.iter().copied()))
            .order_by_asc(task_streams::Column::NotificationStreamId)
            .all(self.0.conn())
            .await?;
        let mut map: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for row in rows {
            map.entry(row.backup_task_id).or_default().push(row.notification_stream_id);
        }
        Ok(map)
    }
}
