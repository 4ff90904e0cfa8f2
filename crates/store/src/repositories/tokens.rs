//! `tokens`: only hashes. A token is looked up before its team is known by [`crate::system`].

use super::{Listed, PageRequest, handle, list};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::Abilities;
use holdfast_domain::ids::{TokenId, UserId};
use holdfast_entity::tokens as table;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

handle! {
    /// The team's tokens.
    Tokens, tokens
}

/// A token to be stored.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose.
    pub user_id: UserId,
    /// Its name on the page.
    pub name: String,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// What it may do.
    pub abilities: Abilities,
    /// When it ends; none = never.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Tokens<'_> {
    /// Stores one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn insert(&self, new: NewToken) -> Result<TokenId, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            name: Set(new.name),
            secret_hash: Set(new.secret_hash),
            abilities: Set(new.abilities.names().into_iter().map(str::to_owned).collect()),
            expires_at: Set(new.expires_at),
            ..Default::default()
        };
        Ok(TokenId(row.insert(self.0.conn()).await?.id))
    }

    /// A page of a person's tokens that were not revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, user_id: UserId, page: PageRequest) -> Result<Listed<table::Model>, StoreError> {
        let select = table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::UserId.eq(user_id.0))
            .filter(table::Column::RevokedAt.is_null());
        list(select, table::Column::Id, page, self.0.conn()).await
    }

    /// One of a person's that was not revoked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, user_id: UserId, id: TokenId) -> Result<Option<table::Model>, StoreError> {
        let select = table::Entity::find_by_id(id.0)
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::UserId.eq(user_id.0))
            .filter(table::Column::RevokedAt.is_null());
        Ok(select.one(self.0.conn()).await?)
    }

    /// Makes one useless from the next request on; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke(&self, id: TokenId, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let changed = table::Entity::update_many()
            .col_expr(table::Column::RevokedAt, Expr::value(now))
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::Id.eq(id.0))
            .filter(table::Column::RevokedAt.is_null())
            .exec(self.0.conn())
            .await?;
        Ok(changed.rows_affected > 0)
    }
}
