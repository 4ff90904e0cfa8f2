//! `tags`: words that group tasks. Two tags may have the same label, as the peer has it.

use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{TagId, UserId};
use holdfast_entity::tags as table;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryFilter, QuerySelect, QueryTrait,
};

handle! {
    /// The team's tags.
    Tags, tags
}

/// A tag to be created.
#[derive(Clone, Debug)]
pub struct NewTag {
    /// Who creates it.
    pub user_id: UserId,
    /// The word.
    pub label: String,
    /// A note.
    pub description: Option<String>,
    /// As typed: `#rgb` or `#rrggbb`.
    pub colour: Option<String>,
}

impl Tags<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them; `search` matches label and description, `colour` exactly.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(
        &self,
        page: PageRequest,
        search: Option<&str>,
        colour: Option<&str>,
    ) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(search, |query, text| {
                query.filter(has_text(Column::Label, text).or(has_text(Column::Description, text)))
            })
            .apply_if(colour, |query, text| query.filter(Column::Colour.eq(text)));
        list_labelled(select, Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: TagId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: TagId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// How many there are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.select().count(self.0.conn()).await?)
    }

    /// Creates one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create(&self, new: NewTag, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            label: Set(new.label),
            description: Set(new.description),
            colour: Set(new.colour),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Writes every column of a row that [`Tags::find_for_update`] gave.
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
