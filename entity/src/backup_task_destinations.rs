//! Rows of `backup_task_destinations`. A task's destinations, in order.

use sea_orm::entity::prelude::*;

/// A task's destinations, in order.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_task_destinations")]
pub struct Model {
    pub team_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_destination_id: i64,
    pub position: i32,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
