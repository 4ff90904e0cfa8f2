//! Rows of `prunes`. What is to be pruned of a task, and who does it.

use sea_orm::entity::prelude::*;

/// What is to be pruned of a task, and who does it.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prunes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub backup_task_id: i64,
    pub team_id: i64,
    pub is_plan_due: bool,
    pub backup_run_id: Option<i64>,
    pub wanted_at: Option<DateTimeUtc>,
    pub epoch: i32,
    pub owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub requests: i64,
    pub failures: i32,
    pub not_before: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
