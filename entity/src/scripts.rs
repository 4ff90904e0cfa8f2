//! Rows of `scripts`. A team's own command before or after a backup.

use sea_orm::entity::prelude::*;

/// A team's own command before or after a backup.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scripts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub label: String,
    pub description: Option<String>,
    pub preset: Option<String>,
    pub interpreter: String,
    pub body: Option<String>,
    pub timeout_secs: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub parameters: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
