//! `team_keys`: public halves, and private halves sealed to the workers.

use super::handle;
use crate::StoreError;
use holdfast_entity::team_keys as table;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

handle! {
    /// The team's keys.
    TeamKeys, team_keys
}

/// A key to be stored.
#[derive(Clone)]
pub struct NewKeyRow {
    /// `ssh`, `age`, `mac`.
    pub purpose: String,
    /// From 1 on.
    pub version: i32,
    /// What may be shown.
    pub public: String,
    /// What the sealed half is bound to.
    pub seal_id: Uuid,
    /// The sealed half.
    pub sealed: Vec<u8>,
}

impl TeamKeys<'_> {
    fn select(&self, purpose: &str) -> sea_orm::Select<table::Entity> {
        table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::Purpose.eq(purpose))
    }

    /// The newest key of a purpose.
    ///
    /// # Errors
    /// The database failed.
    pub async fn newest(&self, purpose: &str) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select(purpose).order_by_desc(table::Column::Version).one(self.0.conn()).await?)
    }

    /// One version of a key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn version(&self, purpose: &str, version: i32) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select(purpose).filter(table::Column::Version.eq(version)).one(self.0.conn()).await?)
    }

    /// Every version of a purpose, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all(&self, purpose: &str) -> Result<Vec<table::Model>, StoreError> {
        Ok(self.select(purpose).order_by_desc(table::Column::Version).all(self.0.conn()).await?)
    }

    /// Stores keys of a new team.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] where a version exists already.
    pub async fn insert(&self, keys: Vec<NewKeyRow>) -> Result<(), StoreError> {
        for key in keys {
            let row = table::ActiveModel {
                team_id: Set(self.0.team_id().0),
                purpose: Set(key.purpose),
                version: Set(key.version),
                public: Set(key.public),
                seal_id: Set(key.seal_id),
                sealed: Set(key.sealed),
                ..Default::default()
            };
            table::Entity::insert(row).exec_without_returning(self.0.conn()).await?;
        }
        Ok(())
    }
}
