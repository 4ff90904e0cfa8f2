//! Rows of `own_backups`. Copies of the product's own database.

use sea_orm::entity::prelude::*;

/// A copy of the product's own database.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "own_backups")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: Option<i64>,
    pub backup_destination_id: i64,
    pub recipients: Vec<String>,
    pub object_name: String,
    pub status: String,
    pub has_object: bool,
    pub epoch: i32,
    pub owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub size_bytes: Option<i64>,
    pub sha256: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub completed_at: Option<DateTimeUtc>,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
