//! `script_secrets`: what scripts are given by its name. Values come in sealed and leave sealed.

use super::{Listed, PageRequest, handle, has_text, list};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{ScriptSecretId, UserId};
use holdfast_entity::script_secrets as table;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait,
    IntoActiveModel, ModelTrait, QueryFilter, QuerySelect, QueryTrait, Statement,
};
use uuid::Uuid;

handle! {
    /// The team's secrets for scripts.
    ScriptSecrets, script_secrets
}

/// A secret to be made.
#[derive(Clone)]
pub struct NewScriptSecret {
    /// Who makes it.
    pub user_id: UserId,
    /// By which scripts and tasks know it.
    pub name: String,
    /// A note.
    pub description: Option<String>,
    /// What the sealed column is bound to.
    pub seal_id: Uuid,
    /// The value.
    pub sealed_value: Vec<u8>,
}

/// Who names a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretUses {
    /// Scripts, in a parameter's default.
    pub scripts: i64,
    /// Tasks that are not deleted, in a parameter's value.
    pub backup_tasks: i64,
}

impl ScriptSecrets<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them; `search` matches name and description.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, search: Option<&str>) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self.select().apply_if(search, |query, text| {
            query.filter(has_text(Column::Name, text).or(has_text(Column::Description, text)))
        });
        list(select, Column::Id, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: ScriptSecretId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: ScriptSecretId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// Those with one of `names`; they stay until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn named(&self, names: &[String]) -> Result<Vec<table::Model>, StoreError> {
        let select = self.select().filter(table::Column::Name.is_in(names.iter().cloned()));
        Ok(select.lock(LockType::KeyShare).all(self.0.conn()).await?)
    }

    /// Makes one.
    ///
    /// # Errors
    /// The database failed; [`StoreError::Duplicate`] where the team has one of this name.
    pub async fn create(&self, new: NewScriptSecret, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            name: Set(new.name),
            description: Set(new.description),
            seal_id: Set(new.seal_id),
            sealed_value: Set(new.sealed_value),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Writes every column of a row that [`ScriptSecrets::find_for_update`] gave.
    ///
    /// # Errors
    /// The database failed.
    pub async fn save(&self, row: table::Model) -> Result<table::Model, StoreError> {
        Ok(row.into_active_model().reset_all().update(self.0.conn()).await?)
    }

    /// Removes one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, row: table::Model) -> Result<(), StoreError> {
        row.delete(self.0.conn()).await?;
        Ok(())
    }

    /// Who names it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn uses(&self, name: &str) -> Result<SecretUses, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM scripts s WHERE s.team_id = $1 AND EXISTS (
                              SELECT 1 FROM jsonb_array_elements(s.parameters) p
                              WHERE p -> 'default' ->> 'secret_name' = $2)) AS scripts,
                          (SELECT count(DISTINCT x.backup_task_id) FROM backup_task_scripts x
                           JOIN backup_tasks t ON t.id = x.backup_task_id AND t.deleted_at IS NULL
                           WHERE x.team_id = $1 AND EXISTS (
                              SELECT 1 FROM jsonb_each(x.parameters) p WHERE p.value ->> 'secret_name' = $2)) AS tasks";
        let values = [self.0.team_id().0.into(), name.into()];
        let row = self.0.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        let Some(row) = row else { return Ok(SecretUses::default()) };
        Ok(SecretUses { scripts: row.try_get("", "scripts")?, backup_tasks: row.try_get("", "tasks")? })
    }
}
