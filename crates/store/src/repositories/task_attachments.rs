//! Attaching tags and notification streams to tasks. What is attached is read with the rest of a list (`task_surroundings`).

use super::handle;
use crate::StoreError;
use holdfast_domain::ids::BackupTaskId;
use holdfast_entity::{
    backup_task_notification_streams as task_streams, backup_task_tags as task_tags, notification_streams, tags,
};
use sea_orm::sea_query::LockType;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};

handle! {
    /// What is attached to the team's tasks.
    TaskAttachments, task_attachments
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
}
