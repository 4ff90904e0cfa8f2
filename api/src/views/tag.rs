//! A tag.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A word that groups tasks.
#[derive(Serialize, ToSchema)]
pub struct TagView {
    id: i64,
    user_id: i64,
    label: String,
    #[schema(required)]
    description: Option<String>,
    /// As typed: `#rgb` or `#rrggbb`.
    #[schema(required)]
    colour: Option<String>,
    created_at: String,
    updated_at: String,
}

impl TagView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::tags::Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            label: row.label,
            description: row.description,
            colour: row.colour,
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
        }
    }
}
