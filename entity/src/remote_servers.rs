//! Rows of `remote_servers`. A host reached by SSH.

use sea_orm::entity::prelude::*;

/// A host reached by SSH.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "remote_servers")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub team_id: i64,
    pub user_id: i64,
    pub label: String,
    pub host: String,
    pub port: i32,
    pub username: String,
    pub auth_method: String,
    pub transport: String,
    pub jump_ids: Vec<i64>,
    pub seal_id: Uuid,
    pub sealed_password: Option<Vec<u8>>,
    pub sealed_private_key: Option<Vec<u8>>,
    pub sealed_database_password: Option<Vec<u8>>,
    pub pinned_host_key: Option<String>,
    pub pinned_at: Option<DateTimeUtc>,
    pub pending_host_key: Option<String>,
    pub connectivity: String,
    pub last_connected_at: Option<DateTimeUtc>,
    pub deleted_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub runs_at_once: i32,
}

/// No relations are declared: joins are written where they are used.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
