//! Rows of `sessions`. Log-ins of people with a browser; only hashes.

use sea_orm::entity::prelude::*;

/// Log-ins of people with a browser; only hashes.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub secret_hash: Vec<u8>,
    pub stage: String,
    pub user_agent: String,
    pub address: String,
    pub authenticated_at: DateTimeUtc,
    pub last_seen_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
