//! `backup_task_webhooks`: the secrets that start tasks from outside, as hashes. A task without a row has none.

use super::handle;
use crate::{Access, Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupTaskId, TeamId};
use holdfast_entity::backup_task_webhooks as table;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};

handle! {
    /// The webhooks of the team's tasks.
    TaskWebhooks, task_webhooks
}

impl Store {
    /// The right to start the task `id` that a webhook's secret gives; none for a wrong secret and an absent task alike.
    /// The comparison is of SHA-256 hashes of 192 random bits: what its time tells of a hash leads to no secret.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_task_webhook(&self, id: BackupTaskId, secret_hash: &[u8]) -> Result<Option<Access>, StoreError> {
        let sql = "SELECT team_id FROM find_task_webhook($1, $2)";
        let values = [id.0.into(), secret_hash.to_vec().into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(row) = self.db().query_one_raw(statement).await? else { return Ok(None) };
        Ok(Some(Access::system(TeamId(row.try_get("", "team_id")?), "the webhook of a task")))
    }
}

impl TaskWebhooks<'_> {
    /// That of one task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, task: BackupTaskId) -> Result<Option<table::Model>, StoreError> {
        let select = table::Entity::find_by_id(task.0).filter(table::Column::TeamId.eq(self.0.team_id().0));
        Ok(select.one(self.0.conn()).await?)
    }

    /// Gives a task a secret; an older one is good for nothing from then on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set(&self, task: BackupTaskId, secret_hash: Vec<u8>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let row = table::ActiveModel {
            backup_task_id: Set(task.0),
            team_id: Set(self.0.team_id().0),
            secret_hash: Set(secret_hash),
            last_used_at: Set(None),
            created_at: Set(now),
        };
        let changed = [table::Column::SecretHash, table::Column::LastUsedAt, table::Column::CreatedAt];
        table::Entity::insert(row)
            .on_conflict(OnConflict::column(table::Column::BackupTaskId).update_columns(changed).to_owned())
            .exec_without_returning(self.0.conn())
            .await?;
        Ok(())
    }

    /// Notes that it started a run.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_use(&self, task: BackupTaskId, now: DateTime<Utc>) -> Result<(), StoreError> {
        table::Entity::update_many()
            .col_expr(table::Column::LastUsedAt, Expr::value(now))
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::BackupTaskId.eq(task.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// Takes the secret away; false where there was none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove(&self, task: BackupTaskId) -> Result<bool, StoreError> {
        let removed = table::Entity::delete_many()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::BackupTaskId.eq(task.0))
            .exec(self.0.conn())
            .await?;
        Ok(removed.rows_affected > 0)
    }
}
