//! A token: its secret is shown once, when it is made.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A token of yours.
#[derive(Serialize, ToSchema)]
pub struct TokenView {
    id: i64,
    name: String,
    /// `["*"]` or names.
    abilities: Vec<String>,
    #[schema(required)]
    last_used_at: Option<String>,
    #[schema(required)]
    expires_at: Option<String>,
    created_at: String,
}

impl TokenView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: &rows::tokens::Model) -> Self {
        Self {
            id: row.id,
            name: row.name.clone(),
            abilities: row.abilities.clone(),
            last_used_at: time::utc_or_null(row.last_used_at),
            expires_at: time::utc_or_null(row.expires_at),
            created_at: time::utc(row.created_at),
        }
    }
}
