//! The only door to the database.
//!
//! Tenant rows are reachable through [`Store::for_team`] alone, which wants an [`Access`]; its transaction carries
//! `SET LOCAL app.team_id`, so row-level security is a second wall behind every query. What happens before a team is
//! known (token and session look-up, claiming a run, due tasks) goes through [`system`], a short list of SECURITY DEFINER
//! functions that return ids. Nothing here may run a tenant query outside such a transaction, or paste a value into SQL.

pub mod absence;
pub mod access;
pub mod audit;
pub mod due_tasks;
pub mod error;
pub mod figures;
pub mod fleet;
pub mod lease;
pub mod live;
pub mod operator;
pub mod queue;
pub mod repositories;
pub mod system;
pub mod system_accounts;
pub mod system_runs;
pub mod taking;
pub mod watched;

pub use access::Access;
pub use audit::Changes;
pub use error::StoreError;
/// Rows as they are stored; what a client sees is a view made by the api.
pub use holdfast_entity as rows;

use holdfast_domain::ids::TeamId;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, SqlxPostgresConnector, TransactionTrait};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::net::IpAddr;
use std::time::Duration;

/// How long a caller waits for a free connection before it answers that the database is unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that lay idle this long is asked whether it still lives before it is used. One that was used just now is
/// not: asking each time would double the round trips of a small request.
const TRUSTED_FOR: Duration = Duration::from_millis(250);

/// A pool of connections that act as `holdfast_app`.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    db: DatabaseConnection,
    options: PgConnectOptions,
}

impl Store {
    /// Opens a pool whose connections give up the owner's rights at once (`SET ROLE holdfast_app`).
    ///
    /// # Errors
    /// The server cannot be reached, or the role is missing (`holdfast migrate` makes it).
    pub async fn connect(options: PgConnectOptions, max_connections: u32) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|conn, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED_FOR {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|conn, _| {
                Box::pin(async move { sqlx::query("SET ROLE holdfast_app").execute(conn).await.map(|_| ()) })
            })
            .connect_with(options.clone())
            .await
            .map_err(StoreError::connect)?;
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
        Ok(Self { pool, db, options })
    }

    /// The pool, for the queue library, which brings its own queries on its own schema.
    #[must_use]
    pub fn queue_pool(&self) -> &PgPool {
        &self.pool
    }

    /// A transaction that sees and writes the rows of one team.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn for_team(&self, access: &Access) -> Result<TeamTx, StoreError> {
        TeamTx::enter(self.db.begin().await?, access.clone()).await
    }

    pub(crate) fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

/// One team's transaction. Dropped without [`TeamTx::commit`], it rolls back.
pub struct TeamTx {
    txn: DatabaseTransaction,
    access: Access,
}

impl TeamTx {
    /// Binds a transaction to the access's team.
    pub(crate) async fn enter(txn: DatabaseTransaction, access: Access) -> Result<Self, StoreError> {
        let set = sea_orm::Statement::from_sql_and_values(
            sea_orm::DbBackend::Postgres,
            "SELECT set_config('app.team_id', $1, true)",
            [access.team_id().to_string().into()],
        );
        txn.execute_raw(set).await?;
        Ok(Self { txn, access })
    }

    /// The team whose rows these are.
    #[must_use]
    pub fn team_id(&self) -> TeamId {
        self.access.team_id()
    }

    /// Who acts.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The same transaction, of somebody at `address`: see [`Access::seen_from`].
    #[must_use]
    pub fn seen_from(self, address: IpAddr) -> Self {
        Self { access: self.access.seen_from(Some(address)), ..self }
    }

    /// Makes the changes visible.
    ///
    /// # Errors
    /// The connection was lost; whether it was committed is then unknown and must be read.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.txn.commit().await?)
    }

    pub(crate) fn conn(&self) -> &DatabaseTransaction {
        &self.txn
    }

    /// Runs a constant statement; returns how many rows it touched.
    pub(crate) async fn change(
        &self,
        sql: &'static str,
        values: impl IntoIterator<Item = sea_orm::Value>,
    ) -> Result<u64, StoreError> {
        let statement = sea_orm::Statement::from_sql_and_values(sea_orm::DbBackend::Postgres, sql, values);
        Ok(self.txn.execute_raw(statement).await?.rows_affected())
    }
}
