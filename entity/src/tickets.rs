//! Rows of `tickets`. Single-use passes to a worker's data plane.

use sea_orm::entity::prelude::*;

/// Single-use passes to a worker's data plane.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tickets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub secret_hash: Vec<u8>,
    pub team_id: i64,
    pub user_id: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub action: Json,
    pub created_at: DateTimeUtc,
    pub expires_at: DateTimeUtc,
    pub used_at: Option<DateTimeUtc>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
