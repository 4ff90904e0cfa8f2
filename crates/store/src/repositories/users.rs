//! `users`: the people of the team. Row-level security shows members alone, and lets nobody change e-mail or password.

use super::handle;
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::UserId;
use holdfast_entity::{teams, users as table};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

handle! {
    /// The team's people.
    Users, users
}

/// What a person may change of themselves.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Full name.
    pub name: String,
    /// IANA zone.
    pub timezone: String,
    /// `en`, `da`, `de`.
    pub language: String,
}

impl Users<'_> {
    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: UserId) -> Result<Option<table::Model>, StoreError> {
        Ok(table::Entity::find_by_id(id.0).one(self.0.conn()).await?)
    }

    /// Changes what a person may change of themselves.
    ///
    /// # Errors
    /// The database failed.
    pub async fn update_profile(&self, id: UserId, profile: &Profile, now: DateTime<Utc>) -> Result<(), StoreError> {
        table::Entity::update_many()
            .col_expr(table::Column::Name, Expr::value(profile.name.as_str()))
            .col_expr(table::Column::Timezone, Expr::value(profile.timezone.as_str()))
            .col_expr(table::Column::Language, Expr::value(profile.language.as_str()))
            .col_expr(table::Column::UpdatedAt, Expr::value(now))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// The team itself.
    ///
    /// # Errors
    /// The database failed.
    pub async fn team(&self) -> Result<Option<teams::Model>, StoreError> {
        Ok(teams::Entity::find_by_id(self.0.team_id().0).one(self.0.conn()).await?)
    }
}
