//! `sessions`: log-ins of people with a browser; only hashes. A session is looked up before its team is known by
//! [`crate::system_accounts`]. One that ends is deleted.

use super::handle;
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{SessionId, UserId};
use holdfast_entity::sessions as table;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};

const CHALLENGE: &str = "challenge";
const FULL: &str = "full";

handle! {
    /// The team's sessions.
    Sessions, sessions
}

/// A session to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose.
    pub user_id: UserId,
    /// SHA-256 of the secret.
    pub secret_hash: Vec<u8>,
    /// The second factor is still owed.
    pub is_challenge: bool,
    /// What the browser says of itself.
    pub user_agent: String,
    /// Where it is.
    pub address: String,
    /// The present.
    pub now: DateTime<Utc>,
    /// Its end.
    pub expires_at: DateTime<Utc>,
}

impl Sessions<'_> {
    fn of(&self, user_id: UserId) -> sea_orm::Select<table::Entity> {
        table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::UserId.eq(user_id.0))
    }

    /// Stores one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn insert(&self, new: NewSession) -> Result<SessionId, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            secret_hash: Set(new.secret_hash),
            stage: Set(if new.is_challenge { CHALLENGE } else { FULL }.to_owned()),
            user_agent: Set(new.user_agent),
            address: Set(new.address),
            authenticated_at: Set(new.now),
            last_seen_at: Set(new.now),
            expires_at: Set(new.expires_at),
            created_at: Set(new.now),
            ..Default::default()
        };
        Ok(SessionId(row.insert(self.0.conn()).await?.id))
    }

    /// A person's sessions that still hold at `now`, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(
        &self,
        user_id: UserId,
        now: DateTime<Utc>,
        idle: chrono::TimeDelta,
    ) -> Result<Vec<table::Model>, StoreError> {
        let select = self
            .of(user_id)
            .filter(table::Column::Stage.eq(FULL))
            .filter(table::Column::ExpiresAt.gt(now))
            .filter(table::Column::LastSeenAt.gt(now - idle));
        Ok(select.order_by_desc(table::Column::Id).all(self.0.conn()).await?)
    }

    /// Gives a session another secret and notes that the person proved who they are.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew(&self, id: SessionId, secret_hash: Vec<u8>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let changed = table::Entity::update_many()
            .col_expr(table::Column::SecretHash, Expr::value(secret_hash))
            .col_expr(table::Column::AuthenticatedAt, Expr::value(now))
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(changed.rows_affected == 1)
    }

    /// Ends one of a person's; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end(&self, user_id: UserId, id: SessionId) -> Result<bool, StoreError> {
        let deleted = table::Entity::delete_many()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::UserId.eq(user_id.0))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(deleted.rows_affected == 1)
    }

    /// Ends all of a person's, challenges too, but `kept`. How many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_all(&self, user_id: UserId, kept: Option<SessionId>) -> Result<u64, StoreError> {
        let mut delete = table::Entity::delete_many()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::UserId.eq(user_id.0));
        if let Some(kept) = kept {
            delete = delete.filter(table::Column::Id.ne(kept.0));
        }
        Ok(delete.exec(self.0.conn()).await?.rows_affected)
    }
}
