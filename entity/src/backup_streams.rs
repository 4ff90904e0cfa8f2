//! Rows of `backup_streams`. One part of a backup.

use sea_orm::entity::prelude::*;

/// One part of a backup.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_streams")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_id: i64,
    pub position: i32,
    pub name: String,
    pub format: String,
    pub original_size: i64,
    pub original_sha256: String,
    pub stored_size: i64,
    pub stored_sha256: String,
    pub nfiles: i64,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
