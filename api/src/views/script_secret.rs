//! A secret of scripts, without its value.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// What scripts are given by its name. The value is told to nobody again.
#[derive(Serialize, ToSchema)]
pub struct ScriptSecretView {
    id: i64,
    user_id: i64,
    /// By which scripts and tasks know it.
    #[schema(example = "db-password")]
    name: String,
    #[schema(required)]
    description: Option<String>,
    created_at: String,
    updated_at: String,
}

impl ScriptSecretView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::script_secrets::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            description: row.description,
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
        }
    }
}
