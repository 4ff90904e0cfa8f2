//! Migrations with their safety net: one process at a time, and a copy of the database before a change of what holds
//! data already.

use crate::own_copy;
use anyhow::{Context, Result, bail};
use holdfast_migration::{Migrator, migrate_queue};
use sea_orm::SqlxPostgresConnector;
use sea_orm_migration::{MigratorTrait, SchemaManager};
use sqlx::postgres::PgPool;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The lock of `pg_advisory_lock` that migrating processes queue at.
const LOCK: i64 = 0x686f_6c64_6661_7374;

/// What was done.
#[derive(Debug)]
pub struct Migrated {
    /// How many migrations were applied.
    pub applied: usize,
    /// The copy from before, if there was something to copy.
    pub copy: Option<PathBuf>,
}

/// Whether a copy is made before data is touched.
#[derive(Clone, Debug)]
pub enum CopyBefore {
    /// Into this folder; without one, a change of a database that holds data is refused.
    Into(Option<PathBuf>),
    /// The database was filled from a copy a moment ago.
    NotNeeded,
}

/// Brings the schema up to date.
///
/// # Errors
/// A right is missing (with the statements that give it), the schema is newer than this program, or a step failed, in
/// which case nothing of that step remains.
pub async fn migrate(pool: &PgPool, copy_before: &CopyBefore) -> Result<Migrated> {
    let mut lock = pool.acquire().await.context("the database cannot be reached")?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *lock)
        .await
        .context("waiting for other migrations")?;
    let outcome = migrate_locked(pool, copy_before, None).await;
    // The lock also ends with the session: an error here keeps nobody out.
    let _ = sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut *lock).await;
    outcome
}

/// As [`migrate`], for an empty database, and only as far as `names` goes: the state that a copy was made in.
///
/// # Errors
/// As [`migrate`]; or the copy knows migrations that this program does not.
pub async fn migrate_to(pool: &PgPool, names: &[String]) -> Result<()> {
    let known: Vec<String> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
    if !known.starts_with(names) {
        bail!("the copy was made by a newer Holdfast: use that version");
    }
    migrate_locked(pool, &CopyBefore::NotNeeded, Some(names.len())).await.map(|_| ())
}

async fn migrate_locked(pool: &PgPool, copy_before: &CopyBefore, level: Option<usize>) -> Result<Migrated> {
    check_rights(pool).await?;
    let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
    let applied = if SchemaManager::new(&db).has_table("seaql_migrations").await? {
        Migrator::get_applied_migrations(&db).await.context("the schema is newer than this program")?
    } else {
        Vec::new()
    };
    let pending = Migrator::migrations().len() - applied.len();
    let copy = match copy_before {
        CopyBefore::Into(folder) if pending > 0 && !applied.is_empty() => {
            let folder = folder.as_deref().context(
                "a copy of the database is kept before it is changed: say where with --copies DIR or --data-dir DIR",
            )?;
            Some(write_copy(pool, folder, applied.len()).await?)
        }
        _ => None,
    };
    let steps = match level {
        Some(level) if level < applied.len() => bail!("the database's schema is newer than the copy: empty it first"),
        Some(level) => Some(u32::try_from(level - applied.len())?),
        None => None,
    };
    Migrator::up(&db, steps).await.context("a migration failed; the database is as it was before that step")?;
    migrate_queue(pool).await.context("the queue's schema")?;
    Ok(Migrated { applied: pending, copy })
}

async fn write_copy(pool: &PgPool, copies: &Path, level: usize) -> Result<PathBuf> {
    let now: String = sqlx::query_scalar("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')")
        .fetch_one(pool)
        .await?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(copies)
        .with_context(|| format!("{} cannot be made", copies.display()))?;
    let path = copies.join(format!("before-migration-{}-{now}.sql.zst", level + 1));
    own_copy::write_plain(pool, &path)
        .await
        .context("copying the database before the migration; nothing was changed")?;
    Ok(path)
}

/// The schema needs a role of its own for the application. Where this user may not make it, somebody else must.
async fn check_rights(pool: &PgPool) -> Result<()> {
    let question = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'holdfast_app'), \
                    EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'holdfast_app' AND pg_has_role(oid, 'MEMBER')), \
                    (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user), \
                    current_user::text, current_database()::text, \
                    has_database_privilege(current_database(), 'CREATE')";
    let (exists, member, may_make, user, database, may_create): (bool, bool, bool, String, String, bool) =
        sqlx::query_as(question).fetch_one(pool).await.context("asking for our rights")?;
    let (user, database) = (quoted(&user), quoted(&database));
    if !member && !may_make {
        let create = if exists { "" } else { "CREATE ROLE holdfast_app NOLOGIN; " };
        bail!(
            "the database user may not act as the role that Holdfast runs as; let a superuser run: {create}GRANT \
             holdfast_app TO {user};"
        );
    }
    if !may_create {
        bail!(
            "the database user may not make schemas; let a superuser run: GRANT CREATE ON DATABASE {database} TO {user};"
        );
    }
    Ok(())
}

/// An SQL name as it is typed.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
