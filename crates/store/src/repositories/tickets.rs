//! Single-use tickets to a worker's data plane, and the choice of the worker. A ticket's secret is never stored.

use crate::{Store, StoreError, TeamTx, rows};
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_domain::ticket::TicketAction;
use holdfast_vault::one_time::SecretHash;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

/// A worker counts as alive this long after it last said so (its heartbeat is 15 s by default).
pub const WORKER_ALIVE_SECS: f64 = 45.0;

/// How many workers are tried for one request.
const CANDIDATES: i64 = 5;

/// A ticket that was just used up.
#[derive(Clone, Debug)]
pub struct UsedTicket {
    /// In whose name the data plane acts now.
    pub team_id: TeamId,
    /// Who asked, if it was a person.
    pub user_id: Option<UserId>,
    /// For what, and nothing else.
    pub action: TicketAction,
}

/// One team's tickets.
pub struct Tickets<'a> {
    tx: &'a TeamTx,
}

impl TeamTx {
    /// Single-use tickets.
    #[must_use]
    pub fn tickets(&self) -> Tickets<'_> {
        Tickets { tx: self }
    }
}

impl Tickets<'_> {
    /// Records a ticket that lives `lives_secs` from now, by the database's clock.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issue(
        &self,
        secret_hash: &SecretHash,
        action: &TicketAction,
        lives_secs: f64,
    ) -> Result<(), StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO tickets (secret_hash, team_id, user_id, action, expires_at)
             VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))",
            [
                secret_hash.to_vec().into(),
                self.tx.team_id().0.into(),
                self.tx.access().actor().user_id().map(|u| u.0).into(),
                action_json(action)?.into(),
                lives_secs.into(),
            ],
        );
        self.tx.conn().execute_raw(statement).await?;
        Ok(())
    }

    /// Workers alive, the best first: those that hold the store the action needs, then the least loaded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workers_for(&self, action: &TicketAction) -> Result<Vec<rows::workers::Model>, StoreError> {
        let (destination, backup) = match action {
            TicketAction::CheckRemoteServer { .. }
            | TicketAction::TestNotificationStream { .. }
            | TicketAction::TestScript { .. }
            | TicketAction::ListDatabases { .. } => (None, None),
            TicketAction::CheckBackupDestination { id: destination }
            | TicketAction::BackupDestinationUsage { id: destination }
            | TicketAction::DownloadOwnBackup { destination, .. }
            | TicketAction::DeleteOwnBackup { destination, .. } => (Some(destination.0), None),
            TicketAction::ListFiles { id, .. } | TicketAction::Download { id, .. } => (None, Some(id.0)),
        };
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "WITH wanted AS (
                SELECT d.type, d.store_id FROM backup_destinations d WHERE d.id = $2 AND d.team_id = $5
                UNION
                SELECT d.type, d.store_id FROM backup_copies c
                JOIN backup_destinations d ON d.id = c.backup_destination_id
                WHERE c.backup_id = $3 AND c.team_id = $5 AND c.state = 'committed')
             SELECT w.* FROM workers w
             WHERE w.seen_at > now() - make_interval(secs => $1)
             ORDER BY EXISTS (SELECT 1 FROM wanted t
                              WHERE t.type <> 'local' OR t.store_id = ANY(w.store_ids)
                                 OR (t.store_id IS NULL AND cardinality(w.store_ids) > 0)) DESC,
                      w.running::float8 / greatest(w.capacity, 1), random()
             LIMIT $4",
            [
                WORKER_ALIVE_SECS.into(),
                destination.into(),
                backup.into(),
                CANDIDATES.into(),
                self.tx.team_id().0.into(),
            ],
        );
        Ok(rows::workers::Model::find_by_statement(statement).all(self.tx.conn()).await?)
    }
}

impl Store {
    /// Uses a ticket up. `None`: unknown, used before, or too old; the caller must not say which.
    ///
    /// # Errors
    /// The database failed, or the ticket's action is none that this version knows.
    pub async fn use_ticket(&self, secret_hash: &SecretHash) -> Result<Option<UsedTicket>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT team_id, user_id, action FROM use_ticket($1)",
            [secret_hash.to_vec().into()],
        );
        let Some(row) = self.db().query_one_raw(statement).await? else {
            return Ok(None);
        };
        let action: serde_json::Value = row.try_get("", "action")?;
        let action = serde_json::from_value(action).map_err(|e| StoreError::Inconsistent {
            table: "tickets",
            id: "(secret)".to_owned(),
            problem: e.to_string(),
        })?;
        let user_id: Option<i64> = row.try_get("", "user_id")?;
        Ok(Some(UsedTicket { team_id: TeamId(row.try_get("", "team_id")?), user_id: user_id.map(UserId), action }))
    }

    /// Forgets tickets that ended more than an hour ago; returns how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_tickets(&self) -> Result<u64, StoreError> {
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT purge_tickets() AS gone");
        let row = self.db().query_one_raw(statement).await?;
        let gone: i64 = row.map(|r| r.try_get("", "gone")).transpose()?.unwrap_or(0);
        Ok(gone.unsigned_abs())
    }
}

fn action_json(action: &TicketAction) -> Result<serde_json::Value, StoreError> {
    serde_json::to_value(action).map_err(|e| StoreError::Inconsistent {
        table: "tickets",
        id: "(new)".to_owned(),
        problem: e.to_string(),
    })
}
