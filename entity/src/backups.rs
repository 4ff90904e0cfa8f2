//! Rows of `backups`. A restore point.

use sea_orm::entity::prelude::*;

/// A restore point.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backups")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_task_id: i64,
    pub backup_run_id: i64,
    pub remote_server_id: i64,
    pub task_label: String,
    pub encryption_mode: String,
    pub has_warnings: bool,
    pub original_size: i64,
    pub stored_size: i64,
    pub nfiles: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub manifest: Json,
    pub held: bool,
    pub recycled_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub is_doubtful: bool,
    pub origin: String,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
