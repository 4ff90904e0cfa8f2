//! Rows of `backup_run_lines`. A run's log.

use sea_orm::entity::prelude::*;

/// A run's log.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_run_lines")]
pub struct Model {
    pub team_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_run_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub line_number: i32,
    pub at: DateTimeUtc,
    pub content: String,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
