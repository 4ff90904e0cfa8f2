//! Rows of `deliveries`. One message on its way to one receiver.

use sea_orm::entity::prelude::*;

/// One message on its way to one receiver.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub notification_stream_id: Option<i64>,
    pub user_id: Option<i64>,
    pub backup_task_id: Option<i64>,
    pub class: String,
    pub event: Option<String>,
    pub message_id: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub message: Json,
    pub state: String,
    pub attempts: i32,
    pub epoch: i32,
    pub owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub not_before: DateTimeUtc,
    pub summary_id: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub created_at: DateTimeUtc,
    pub sent_at: Option<DateTimeUtc>,
    pub ping: Option<String>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
