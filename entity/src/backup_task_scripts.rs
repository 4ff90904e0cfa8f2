//! Rows of `backup_task_scripts`. Which script runs at which task, and how.

use sea_orm::entity::prelude::*;

/// Which script runs at which task, and how.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_task_scripts")]
pub struct Model {
    pub team_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    pub script_id: i64,
    pub phase: String,
    pub run_on: String,
    pub on_failure: String,
    pub timeout_secs: Option<i32>,
    #[sea_orm(column_type = "JsonBinary")]
    pub parameters: Json,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
