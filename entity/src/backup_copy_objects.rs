//! Rows of `backup_copy_objects`. The recorded objects of a copy.

use sea_orm::entity::prelude::*;

/// The recorded objects of a copy.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "backup_copy_objects")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub backup_copy_id: i64,
    pub backup_stream_id: Option<i64>,
    pub kind: String,
    pub part: i32,
    pub name: String,
    pub size_bytes: i64,
    pub sha256: String,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
