//! Rows of `backup_destinations`. Where bytes go.

use sea_orm::entity::prelude::*;

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_destinations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub label: String,
    pub r#type: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub config: Json,
    pub seal_id: Uuid,
    pub sealed_access_key: Option<Vec<u8>>,
    pub sealed_secret_key: Option<Vec<u8>>,
    pub store_id: Option<String>,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub runs_at_once: Option<i32>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
