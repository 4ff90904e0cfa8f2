//! Rows of `two_factors`. Second factors of people; the secret is sealed with the log-in key.

use sea_orm::entity::prelude::*;

/// Second factors of people; the secret is sealed with the log-in key.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "two_factors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    pub team_id: i64,
    pub seal_id: Uuid,
    pub sealed_secret: Vec<u8>,
    pub confirmed_at: Option<DateTimeUtc>,
    pub last_step: i64,
    pub created_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
