//! Rows of `backup_task_webhooks`. The secret that starts a task from outside, as a hash.

use sea_orm::entity::prelude::*;

/// The secret that starts a task from outside, as a hash.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_task_webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    pub team_id: i64,
    pub secret_hash: Vec<u8>,
    pub last_used_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
