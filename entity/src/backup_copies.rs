//! Rows of `backup_copies`. A backup at one destination.

use sea_orm::entity::prelude::*;

/// A backup at one destination.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_copies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_id: i64,
    pub backup_destination_id: i64,
    pub state: String,
    pub verified_level: Option<i16>,
    pub verified_at: Option<DateTimeUtc>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub created_at: DateTimeUtc,
    pub recycled_at: Option<DateTimeUtc>,
    pub expires_at: Option<DateTimeUtc>,
    pub is_asked_for: bool,
    pub deleted_at: Option<DateTimeUtc>,
    pub requested_by: Option<i64>,
    pub epoch: i32,
    pub attempts: i32,
    pub owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub not_before: DateTimeUtc,
    pub step: Option<String>,
    pub cancel_requested_at: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    pub progress: Json,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
