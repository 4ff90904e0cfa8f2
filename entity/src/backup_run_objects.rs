//! Rows of `backup_run_objects`. What an attempt may leave behind.

use sea_orm::entity::prelude::*;

/// What an attempt may leave behind.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_run_objects")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_run_id: i64,
    pub epoch: i32,
    pub backup_destination_id: i64,
    pub name: String,
    pub state: String,
    pub created_at: DateTimeUtc,
    pub removing_until: Option<DateTimeUtc>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
