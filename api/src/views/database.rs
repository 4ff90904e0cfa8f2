//! Databases on a server, as a worker found them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a log-in sees.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct DatabasesView {
    /// `mysql`, `mariadb`, `postgresql`.
    pub engine: String,
    /// Whether every table is listed; a very long list is cut.
    pub is_complete: bool,
    /// The databases, those of the engine itself left out.
    pub databases: Vec<DatabaseView>,
}

/// A database.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct DatabaseView {
    /// Its name.
    pub name: String,
    /// As its server says.
    pub size_bytes: u64,
    /// All its tables.
    pub table_count: u64,
    /// Its tables.
    pub tables: Vec<TableView>,
}

/// A table.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TableView {
    /// Where the engine has schemas within a database.
    #[schema(required)]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Table and indexes, as the server says.
    pub size_bytes: u64,
}
