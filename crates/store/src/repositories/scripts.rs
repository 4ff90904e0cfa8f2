//! `scripts`: a team's own commands before and after its backups.

use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{ScriptId, UserId};
use holdfast_entity::scripts as table;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, ModelTrait, QueryFilter,
    QuerySelect, QueryTrait,
};

handle! {
    /// The team's scripts.
    Scripts, scripts
}

/// A script to be made.
#[derive(Clone, Debug)]
pub struct NewScript {
    /// Who makes it.
    pub user_id: UserId,
    /// Its name on the page.
    pub label: String,
    /// A note.
    pub description: Option<String>,
    /// `domain::script::Preset`; then there is no body.
    pub preset: Option<String>,
    /// `domain::script::Interpreter`.
    pub interpreter: String,
    /// Its text.
    pub body: Option<String>,
    /// How long it may take.
    pub timeout_secs: i32,
    /// `[domain::script::Parameter]`.
    pub parameters: serde_json::Value,
}

impl Scripts<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them; `search` matches label and description.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, search: Option<&str>) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self.select().apply_if(search, |query, text| {
            query.filter(has_text(Column::Label, text).or(has_text(Column::Description, text)))
        });
        list_labelled(select, Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: ScriptId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: ScriptId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// Those of `ids` that are the team's. They stay as they are until the transaction ends: whoever changes their
    /// parameters waits until the task that fits them is written.
    ///
    /// # Errors
    /// The database failed.
    pub async fn of(&self, ids: &[i64]) -> Result<Vec<table::Model>, StoreError> {
        let select = self.select().filter(table::Column::Id.is_in(ids.iter().copied()));
        Ok(select.lock(LockType::Share).all(self.0.conn()).await?)
    }

    /// Makes one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create(&self, new: NewScript, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            label: Set(new.label),
            description: Set(new.description),
            preset: Set(new.preset),
            interpreter: Set(new.interpreter),
            body: Set(new.body),
            timeout_secs: Set(new.timeout_secs),
            parameters: Set(new.parameters),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Writes every column of a row that [`Scripts::find_for_update`] gave.
    ///
    /// # Errors
    /// The database failed.
    pub async fn save(&self, row: table::Model) -> Result<table::Model, StoreError> {
        Ok(row.into_active_model().reset_all().update(self.0.conn()).await?)
    }

    /// Removes one, from its tasks too.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, row: table::Model) -> Result<(), StoreError> {
        row.delete(self.0.conn()).await?;
        Ok(())
    }
}
