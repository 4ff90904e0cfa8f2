//! `database`: the connection pool. The address comes by `DATABASE_URL`, because it carries a password.

use crate::reader::Reader;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseConfig {
    /// Connections of one process at most.
    pub max_connections: u32,
}

impl DatabaseConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        // Fewer than four, and a worker's heartbeats wait behind its queue's listener.
        Some(Self { max_connections: reader.within("database.max_connections", 4..=1000)? })
    }
}
