//! Rows of `workers`. Workers alive.

use sea_orm::entity::prelude::*;

/// Workers alive.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub version: String,
    pub data_plane_url: String,
    pub store_ids: Vec<String>,
    pub running: i32,
    pub capacity: i32,
    pub started_at: DateTimeUtc,
    pub seen_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
