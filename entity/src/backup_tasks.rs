//! Rows of `backup_tasks`. The definition of a backup.

use sea_orm::entity::prelude::*;

/// The definition of a backup.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_tasks")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub remote_server_id: i64,
    pub label: String,
    pub description: Option<String>,
    pub r#type: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub source: Json,
    pub frequency: String,
    pub time_to_run_at: Option<String>,
    pub custom_cron: Option<String>,
    pub timezone: Option<String>,
    pub weekday: Option<i16>,
    pub next_run_at: Option<DateTimeUtc>,
    pub max_backups: i32,
    pub appended_filename: Option<String>,
    pub store_path: Option<String>,
    pub encryption_mode: String,
    pub encryption_recipients: Vec<String>,
    pub seal_id: Uuid,
    pub sealed_encryption_password: Option<Vec<u8>>,
    pub isolated_username: Option<String>,
    pub sealed_isolated_password: Option<Vec<u8>>,
    pub sealed_source_password: Option<Vec<u8>>,
    pub paused_at: Option<DateTimeUtc>,
    pub last_run_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub max_age_secs: Option<i64>,
    pub keep_floor: i32,
    pub recycle_secs: i64,
    pub max_duration_secs: Option<i32>,
    pub alias: Option<String>,
    pub grace_secs: Option<i32>,
    pub next_success_expected_by: Option<DateTimeUtc>,
    pub expectation_from: DateTimeUtc,
    pub is_expectation_due: bool,
    pub overdue_since: Option<DateTimeUtc>,
    pub sealed_ping_url: Option<Vec<u8>>,
    pub weekdays: Vec<i16>,
    pub minute: Option<i16>,
    pub month_day: Option<i16>,
    pub interval_secs: Option<i32>,
    pub interval_from: Option<DateTimeUtc>,
    pub window_from: Option<String>,
    pub window_until: Option<String>,
    pub jitter_secs: i32,
    pub catch_up: String,
    pub next_slot_at: Option<DateTimeUtc>,
    pub priority: i16,
    pub on_overlap: String,
    pub scheduled_since: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
