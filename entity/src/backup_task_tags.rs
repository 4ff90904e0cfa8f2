//! Rows of `backup_task_tags`. Which tag is on which task.

use sea_orm::entity::prelude::*;

/// Which tag is on which task.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_task_tags")]
pub struct Model {
    pub team_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub tag_id: i64,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
