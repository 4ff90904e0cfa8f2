//! What a live view needs of the database: a connection that is told of changes to rows that are watched, and which of those
//! who look still may. A message names a row and nothing of it; what it says is read through a team's transaction.

use crate::system::call;
use crate::{Store, StoreError, TeamTx};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Actor;
use holdfast_domain::ids::{BackupCopyId, BackupRunId, RestoreId, SessionId, TeamId, TokenId};
use sea_orm::FromQueryResult;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::collections::HashSet;
use std::time::Duration;

/// `tell_watchers` of `m…_000048_live_view.sql`.
const CHANNEL: &str = "holdfast_live";
/// For the listener's own connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A row that somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watched {
    /// A backup run, and its log.
    Run(BackupRunId),
    /// A restore.
    Restore(RestoreId),
    /// A copy of a backup.
    Copy(BackupCopyId),
}

impl Watched {
    /// From a message of the database; none for one of another version.
    fn parse(message: &str) -> Option<Self> {
        let (kind, id) = message.split_once(':')?;
        let id = id.parse().ok()?;
        match kind {
            "run" => Some(Self::Run(BackupRunId(id))),
            "restore" => Some(Self::Restore(RestoreId(id))),
            "copy" => Some(Self::Copy(BackupCopyId(id))),
            _ => None,
        }
    }
}

/// One connection that hears of every watched row of the installation.
pub struct LiveListener(PgListener);

impl LiveListener {
    /// The next row that changed; none once the connection is lost.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next(&mut self) -> Result<Option<Watched>, StoreError> {
        loop {
            let Some(told) = self.0.try_recv().await.map_err(StoreError::connect)? else { return Ok(None) };
            if let Some(watched) = Watched::parse(told.payload()) {
                return Ok(Some(watched));
            }
        }
    }
}

#[derive(FromQueryResult)]
struct RightRow {
    is_session: bool,
    id: i64,
    team_id: i64,
}

/// Tokens and sessions that give a right now, each in its team.
#[derive(Debug, Default)]
pub struct Rights {
    tokens: HashSet<(i64, i64)>,
    sessions: HashSet<(i64, i64)>,
}

impl Rights {
    /// Whether `actor` may still act in `team`.
    #[must_use]
    pub fn has(&self, actor: Actor, team: TeamId) -> bool {
        match actor {
            Actor::Token { token_id, .. } => self.tokens.contains(&(token_id.0, team.0)),
            Actor::Session { session_id, .. } => self.sessions.contains(&(session_id.0, team.0)),
            Actor::System(_) => true,
        }
    }
}

impl Store {
    /// Listens, on a connection of its own: neither is it kept from hearing by a busy pool, nor the pool by it.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn live_listener(&self) -> Result<LiveListener, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|conn, _| {
                Box::pin(async move { sqlx::query("SET ROLE holdfast_app").execute(conn).await.map(|_| ()) })
            })
            .connect_lazy_with(self.options().clone());
        let mut listener = PgListener::connect_with(&pool).await.map_err(StoreError::connect)?;
        // What was missed meanwhile must be read: whoever connects again has to know that it did.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(StoreError::connect)?;
        Ok(LiveListener(listener))
    }

    /// Which of `tokens` and `sessions` give a right at `now`. Whoever is not among them has none any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn rights_that_stand(
        &self,
        tokens: &[TokenId],
        sessions: &[SessionId],
        now: DateTime<Utc>,
        idle: TimeDelta,
    ) -> Result<Rights, StoreError> {
        let tokens: Vec<i64> = tokens.iter().map(|id| id.0).collect();
        let sessions: Vec<i64> = sessions.iter().map(|id| id.0).collect();
        let values = [tokens.into(), sessions.into(), now.into(), idle.as_seconds_f64().into()];
        let statement = call("SELECT * FROM rights_that_stand($1, $2, $3, $4)", values);
        let mut rights = Rights::default();
        for row in RightRow::find_by_statement(statement).all(self.db()).await? {
            let of = if row.is_session { &mut rights.sessions } else { &mut rights.tokens };
            of.insert((row.id, row.team_id));
        }
        Ok(rights)
    }
}

impl TeamTx {
    /// Says that somebody watches an unfinished row, for `secs` from now: until then its changes are told.
    ///
    /// # Errors
    /// The database failed.
    pub async fn watch(&self, watched: Watched, secs: f64) -> Result<(), StoreError> {
        let (sql, id) = match watched {
            Watched::Run(id) => (
                "UPDATE backup_runs SET watched_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND team_id = $2 AND status IN ('queued', 'running', 'verifying')",
                id.0,
            ),
            Watched::Restore(id) => (
                "UPDATE restores SET watched_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND team_id = $2 AND status IN ('queued', 'running', 'verifying')",
                id.0,
            ),
            Watched::Copy(id) => (
                "UPDATE backup_copies SET watched_until = now() + make_interval(secs => $3)
                 WHERE id = $1 AND team_id = $2 AND state IN ('queued', 'running')",
                id.0,
            ),
        };
        self.change(sql, [id.into(), self.team_id().0.into(), secs.into()]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_names_no_row_is_none() {
        assert_eq!(Watched::parse("run:7"), Some(Watched::Run(BackupRunId(7))));
        assert_eq!(Watched::parse("copy:7"), Some(Watched::Copy(BackupCopyId(7))));
        for other in ["", "run", "run:", "run:x", "server:7", "7"] {
            assert_eq!(Watched::parse(other), None, "{other}");
        }
    }
}
