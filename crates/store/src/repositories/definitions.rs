//! What servers, destinations and tasks have in common: a team defines them, they have a label, and one that is removed
//! stays for what was made with it.

/// The queries that are the same for each of them: for a handle made by [`super::handle`] over `table`.
macro_rules! definitions {
    ($name:ident, $id:ident) => {
        impl $name<'_> {
            fn select(&self) -> sea_orm::Select<table::Entity> {
                self.select_any().filter(table::Column::DeletedAt.is_null())
            }

            fn select_any(&self) -> sea_orm::Select<table::Entity> {
                table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
            }

            /// One that is not deleted.
            ///
            /// # Errors
            /// The database failed.
            pub async fn find(&self, id: $id) -> Result<Option<table::Model>, StoreError> {
                Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
            }

            /// One that is not deleted, locked until the transaction ends.
            ///
            /// # Errors
            /// The database failed.
            pub async fn find_for_update(&self, id: $id) -> Result<Option<table::Model>, StoreError> {
                Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
            }

            /// One, deleted or not: what was made with it outlives it.
            ///
            /// # Errors
            /// The database failed.
            pub async fn find_any(&self, id: $id) -> Result<Option<table::Model>, StoreError> {
                Ok(self.select_any().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
            }

            /// How many there are.
            ///
            /// # Errors
            /// The database failed.
            pub async fn count(&self) -> Result<u64, StoreError> {
                Ok(self.select().count(self.0.conn()).await?)
            }

            /// Writes every column of a row that [`Self::find_for_update`] gave.
            ///
            /// # Errors
            /// The database failed, or [`StoreError::Duplicate`] where `create` would give it too.
            pub async fn save(&self, row: table::Model) -> Result<table::Model, StoreError> {
                Ok(row.into_active_model().reset_all().update(self.0.conn()).await?)
            }
        }
    };
}
pub(crate) use definitions;
