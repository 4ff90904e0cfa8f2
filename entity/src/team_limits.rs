//! Rows of `team_limits`. What a team may have, where it differs from the defaults.

use sea_orm::entity::prelude::*;

/// What a team may have, where it differs from the defaults.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "team_limits")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub team_id: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub limits: Json,
    pub updated_at: DateTimeUtc,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
