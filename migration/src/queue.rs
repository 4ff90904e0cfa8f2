//! The queue's own schema (`apalis`), made by the library's migrations, and the application role's rights on it.

use sea_orm_migration::prelude::DbErr;
use sqlx::PgPool;

/// Brings the queue's tables up to date. Needs the `hstore` extension, which a database owner may create where
/// Postgres' contrib modules are installed.
///
/// # Errors
/// The library's migration failed, or the grants did.
pub async fn migrate_queue(pool: &PgPool) -> Result<(), DbErr> {
    apalis_postgres::PostgresStorage::<()>::setup(pool)
        .await
        .map_err(|e| DbErr::Migration(format!("queue schema: {e}")))?;
    sqlx::raw_sql(
        "GRANT USAGE ON SCHEMA apalis TO holdfast_app;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA apalis TO holdfast_app;
         GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA apalis TO holdfast_app;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA apalis TO holdfast_app;",
    )
    .execute(pool)
    .await
    .map_err(|e| DbErr::Migration(format!("rights on the queue schema: {e}")))?;
    Ok(())
}
