//! Rows of `notification_streams`. A channel over which people are told.

use sea_orm::entity::prelude::*;

/// A channel over which people are told.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_streams")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub label: String,
    pub r#type: String,
    pub events: Vec<String>,
    pub is_team_wide: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub config: Json,
    pub seal_id: Uuid,
    pub sealed_value: Vec<u8>,
    pub sealed_second_value: Option<Vec<u8>>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub confirmed_at: Option<DateTimeUtc>,
    pub address_hash: Option<Vec<u8>>,
    pub sealed_previous_second_value: Option<Vec<u8>>,
    pub previous_until: Option<DateTimeUtc>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
