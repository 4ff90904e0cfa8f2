//! Rows of `backup_runs`. One execution of a task.

use sea_orm::entity::prelude::*;

/// One execution of a task.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_runs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_task_id: i64,
    pub ulid: String,
    pub trigger: String,
    pub triggered_by: Option<i64>,
    pub scheduled_for: Option<DateTimeUtc>,
    pub destination_ids: Option<Vec<i64>>,
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
    pub transfer_ms: Option<i64>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
    pub log_deleted_at: Option<DateTimeUtc>,
    pub scripts_owed_at: Option<DateTimeUtc>,
    pub scripts_retry_at: DateTimeUtc,
    pub scripts_tries: i32,
    pub committed_as: Option<String>,
    pub is_behind: bool,
    pub retry_of: Option<i64>,
    pub log_bytes: i64,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
