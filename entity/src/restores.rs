//! Rows of `restores`. Giving data back.

use sea_orm::entity::prelude::*;

/// Giving data back.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "restores")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: Option<i64>,
    pub backup_id: i64,
    pub backup_copy_id: Option<i64>,
    pub remote_server_id: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub spec: Json,
    pub seal_id: Uuid,
    pub sealed_password: Option<Vec<u8>>,
    pub sealed_database_password: Option<Vec<u8>>,
    pub target_touched: bool,
    pub status: String,
    pub epoch: i32,
    pub attempts: i32,
    pub owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub not_before: DateTimeUtc,
    pub step: Option<String>,
    pub cancel_requested_at: Option<DateTimeUtc>,
    pub process_terminated: Option<bool>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub warnings: Json,
    pub warning_count: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub progress: Json,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
