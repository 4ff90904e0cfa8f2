//! Rows of `backup_task_notification_streams`. Which stream tells of which task.

use sea_orm::entity::prelude::*;

/// Which stream tells of which task.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_task_notification_streams")]
pub struct Model {
    pub team_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub notification_stream_id: i64,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
