//! The heartbeat's own way to the database: one connection outside the pool, so that a busy pool or a busy runtime
//! cannot make a worker lose what it holds. Every write says which epoch it believes in.

use crate::{Store, StoreError};
use holdfast_domain::ids::{BackupCopyId, BackupRunId, BackupTaskId, OwnBackupId, RestoreId, TeamId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

/// What a worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leased {
    /// A backup run.
    Run(BackupRunId),
    /// A restore.
    Restore(RestoreId),
    /// A copy of a backup that is being made.
    Copy(BackupCopyId),
    /// What is to be deleted of a task's copies.
    Prune(BackupTaskId),
    /// A copy of the product's own database.
    OwnBackup(OwnBackupId),
}

/// One execution: of two with the same [`Leased`] only the one with the higher epoch may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Whose.
    pub team_id: TeamId,
    /// What.
    pub leased: Leased,
    /// The epoch that the claim returned.
    pub epoch: i32,
}

/// What a heartbeat learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Still ours.
    Held {
        /// Somebody asked for the end.
        cancel_requested: bool,
    },
    /// Another epoch, or it is over: stop at once.
    Lost,
}

/// Opens [`LeaseConnection`]s.
#[derive(Clone)]
pub struct LeaseDoor {
    options: PgConnectOptions,
}

/// A connection that does nothing but keep leases.
pub struct LeaseConnection {
    conn: PgConnection,
}

impl Store {
    /// The way to connections for heartbeats, which may live on another runtime than the pool.
    #[must_use]
    pub fn lease_door(&self) -> LeaseDoor {
        LeaseDoor { options: self.options().clone() }
    }
}

impl LeaseDoor {
    /// A new connection, as the application role.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn connect(&self) -> Result<LeaseConnection, StoreError> {
        let mut conn = PgConnection::connect_with(&self.options).await.map_err(StoreError::connect)?;
        conn.execute("SET ROLE holdfast_app").await.map_err(StoreError::connect)?;
        Ok(LeaseConnection { conn })
    }
}

impl LeaseConnection {
    /// Says that `claim` is alive: its lease ends `lease_secs` from now.
    ///
    /// # Errors
    /// The database is unavailable; whether the lease was renewed is then unknown.
    pub async fn beat(&mut self, claim: &Claim, lease_secs: f64) -> Result<Beat, StoreError> {
        let (sql, id) = match claim.leased {
            Leased::Run(id) => (
                "UPDATE backup_runs SET lease_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')
                 RETURNING cancel_requested_at IS NOT NULL",
                id.0,
            ),
            Leased::Restore(id) => (
                "UPDATE restores SET lease_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')
                 RETURNING cancel_requested_at IS NOT NULL",
                id.0,
            ),
            Leased::Copy(id) => (
                "UPDATE backup_copies SET lease_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND epoch = $2 AND state = 'running'
                 RETURNING cancel_requested_at IS NOT NULL",
                id.0,
            ),
            Leased::Prune(id) => (
                "UPDATE prunes SET lease_until = now() + make_interval(secs => $3)
                 WHERE backup_task_id = $1 AND epoch = $2 AND lease_until IS NOT NULL RETURNING false",
                id.0,
            ),
            Leased::OwnBackup(id) => (
                "UPDATE own_backups SET lease_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND epoch = $2 AND status = 'running' RETURNING false",
                id.0,
            ),
        };
        self.ask(claim, sqlx::query(sql).bind(id).bind(claim.epoch).bind(lease_secs)).await
    }

    /// Looks whether `claim` is still ours and wanted, without renewing the lease.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn look(&mut self, claim: &Claim) -> Result<Beat, StoreError> {
        let (sql, id) = match claim.leased {
            Leased::Run(id) => (
                "SELECT cancel_requested_at IS NOT NULL FROM backup_runs
                 WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')",
                id.0,
            ),
            Leased::Restore(id) => (
                "SELECT cancel_requested_at IS NOT NULL FROM restores
                 WHERE id = $1 AND epoch = $2 AND status IN ('running', 'verifying')",
                id.0,
            ),
            Leased::Copy(id) => (
                "SELECT cancel_requested_at IS NOT NULL FROM backup_copies
                 WHERE id = $1 AND epoch = $2 AND state = 'running'",
                id.0,
            ),
            Leased::Prune(id) => {
                ("SELECT false FROM prunes WHERE backup_task_id = $1 AND epoch = $2 AND lease_until IS NOT NULL", id.0)
            }
            Leased::OwnBackup(id) => {
                ("SELECT false FROM own_backups WHERE id = $1 AND epoch = $2 AND status = 'running'", id.0)
            }
        };
        self.ask(claim, sqlx::query(sql).bind(id).bind(claim.epoch)).await
    }

    async fn ask(
        &mut self,
        claim: &Claim,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Beat, StoreError> {
        let mut txn = self.conn.begin().await.map_err(StoreError::connect)?;
        sqlx::query("SELECT set_config('app.team_id', $1, true)")
            .bind(claim.team_id.to_string())
            .execute(&mut *txn)
            .await
            .map_err(StoreError::connect)?;
        let row = query.fetch_optional(&mut *txn).await.map_err(StoreError::connect)?;
        txn.commit().await.map_err(StoreError::connect)?;
        Ok(match row {
            Some(row) => Beat::Held { cancel_requested: row.try_get(0).map_err(StoreError::connect)? },
            None => Beat::Lost,
        })
    }
}
