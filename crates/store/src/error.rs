//! What can go wrong at the door.

/// A failed database operation. "Not found" is no error: look-ups return `Option`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection in time: answer 503 and try again later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A unique rule was broken; the name is the index's.
    #[error("a row like this exists already ({0})")]
    Duplicate(String),
    /// A row violates our own rules: a fault of ours, never the caller's.
    #[error("inconsistent row: {table} {id}: {problem}")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// Which.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// Anything else.
    #[error("database")]
    Database(#[source] sea_orm::DbErr),
}

impl StoreError {
    pub(crate) fn connect(error: sqlx::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<sea_orm::DbErr> for StoreError {
    fn from(error: sea_orm::DbErr) -> Self {
        if let Some(sea_orm::SqlErr::UniqueConstraintViolation(detail)) = error.sql_err() {
            return Self::Duplicate(detail);
        }
        match error {
            sea_orm::DbErr::ConnectionAcquire(_) | sea_orm::DbErr::Conn(_) => Self::Unavailable(Box::new(error)),
            other => Self::Database(other),
        }
    }
}
