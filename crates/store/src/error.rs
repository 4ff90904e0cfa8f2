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
            full if takes_nothing(&full) => Self::Unavailable(Box::new(full)),
            other => Self::Database(other),
        }
    }
}

/// SQLSTATEs of a database that is there and takes nothing for now: read-only (a standby), its disk is full, it has no
/// memory or no connections left, it shuts down or starts (PostgreSQL manual, appendix A).
const TAKES_NOTHING: [&str; 7] = ["25006", "53100", "53200", "53300", "57P01", "57P02", "57P03"];

fn takes_nothing(error: &sea_orm::DbErr) -> bool {
    use sea_orm::{DbErr, RuntimeErr};
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let code = cause.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| TAKES_NOTHING.contains(&code.as_ref()))
}
