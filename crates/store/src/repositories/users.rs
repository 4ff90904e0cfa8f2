//! `users`: the people of the team. Row-level security shows members alone, and lets nobody change e-mail or password.

use super::handle;
use crate::StoreError;
use crate::system::{call, truth};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::UserId;
use holdfast_entity::{members, teams, users as table};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

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
    /// Rows of a list's page, where the request does not say.
    pub page_size: Option<i32>,
}

impl Users<'_> {
    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: UserId) -> Result<Option<table::Model>, StoreError> {
        Ok(table::Entity::find_by_id(id.0).one(self.0.conn()).await?)
    }

    /// Whether an address is one of the team's people's own, capitals and small letters alike.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_address(&self, email: &str) -> Result<bool, StoreError> {
        let is_it = Expr::expr(Func::lower(Expr::col(table::Column::Email))).eq(email.to_ascii_lowercase());
        let active = table::Entity::find().filter(table::Column::SuspendedAt.is_null());
        Ok(active.filter(is_it).count(self.0.conn()).await? > 0)
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
            .col_expr(table::Column::PageSize, Expr::value(profile.page_size))
            .col_expr(table::Column::UpdatedAt, Expr::value(now))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// Replaces a password that is `old_hash`; false where it is another by now.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_password(&self, id: UserId, old_hash: &str, new_hash: &str) -> Result<bool, StoreError> {
        let values = [id.0.into(), old_hash.into(), new_hash.into()];
        truth(self.0.conn(), call("SELECT set_password($1, $2, $3)", values)).await
    }

    /// Replaces an address that is `old`; false where it is another by now.
    ///
    /// # Errors
    /// The database failed; [`StoreError::Duplicate`] where somebody has the new one.
    pub async fn set_email(&self, id: UserId, old: &str, new: &str) -> Result<bool, StoreError> {
        let values = [id.0.into(), old.into(), new.into()];
        truth(self.0.conn(), call("SELECT set_email($1, $2, $3)", values)).await
    }

    /// Who is in the team, in which role, the first first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn members(&self) -> Result<Vec<members::Model>, StoreError> {
        let select = members::Entity::find().filter(members::Column::TeamId.eq(self.0.team_id().0));
        Ok(select.order_by_asc(members::Column::UserId).all(self.0.conn()).await?)
    }

    /// What is kept about a person of the team where no team's rows are: mails, open links, suspensions.
    ///
    /// # Errors
    /// The database failed.
    pub async fn records(&self, id: UserId) -> Result<serde_json::Value, StoreError> {
        let row = self.0.conn().query_one_raw(call("SELECT account_records($1) AS records", [id.0.into()])).await?;
        let records: Option<Option<serde_json::Value>> = row.map(|row| row.try_get("", "records")).transpose()?;
        Ok(records.flatten().unwrap_or_default())
    }

    /// The team itself.
    ///
    /// # Errors
    /// The database failed.
    pub async fn team(&self) -> Result<Option<teams::Model>, StoreError> {
        Ok(teams::Entity::find_by_id(self.0.team_id().0).one(self.0.conn()).await?)
    }
}
