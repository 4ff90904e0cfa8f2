//! Rows of `audit_events`. Who did what.

use sea_orm::entity::prelude::*;

/// Who did what.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: Option<i64>,
    pub token_id: Option<i64>,
    pub action: String,
    pub subject: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub details: Json,
    pub created_at: DateTimeUtc,
    pub session_id: Option<i64>,
    pub actor: String,
    pub actor_reason: Option<String>,
    pub ip_address: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub changes: Json,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
