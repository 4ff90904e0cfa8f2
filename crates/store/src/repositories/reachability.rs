//! Whether servers and destinations answer, and telling people when that changes. Called in the transaction that records
//! what a try taught; a fault here never changes what was tried (see [`crate::TeamTx::aside`]).

use super::handle;
use super::tickets::WORKER_ALIVE_SECS;
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupDestinationId, RemoteServerId};
use holdfast_domain::notification::{EventKind, Message};
use holdfast_domain::reachability::{ReachChange, Unreached, after_try, is_destination_reached};
use holdfast_domain::schedule::local_time;
use holdfast_domain::telling::About;
use holdfast_domain::{Failure, FailureCode};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};
use std::time::Duration;

handle! {
    /// Whether the team's servers and destinations answer.
    Reachability, reachability
}

/// What a try taught: it answered, or why it did not.
pub type Answered<'a> = Result<(), &'a str>;

/// What is known before a try.
#[derive(FromQueryResult)]
struct Known {
    now: DateTime<Utc>,
    place: String,
    failures: Option<i32>,
    failing_since: Option<DateTime<Utc>>,
    counted_at: Option<DateTime<Utc>>,
    is_told: Option<bool>,
}

impl Reachability<'_> {
    /// Notes that a server was tried at `host` and `port`; a server that has another address by now learns nothing.
    ///
    /// # Errors
    /// The database failed; the transaction cannot go on then.
    pub async fn note_server(
        &self,
        id: RemoteServerId,
        (host, port): (&str, u16),
        answered: Answered<'_>,
    ) -> Result<(), StoreError> {
        let place = format!("{port} {host}");
        self.0.aside(self.note(About::Server(id), Some(&place), answered)).await
    }

    /// Notes that a destination was tried.
    ///
    /// # Errors
    /// The database failed; the transaction cannot go on then.
    pub async fn note_destination(&self, id: BackupDestinationId, answered: Answered<'_>) -> Result<(), StoreError> {
        self.0.aside(self.note(About::Destination(id), None, answered)).await
    }

    /// Notes what a run taught of a destination; some failures teach nothing.
    ///
    /// # Errors
    /// The database failed; the transaction cannot go on then.
    pub async fn note_place(&self, id: BackupDestinationId, stored: Result<(), &Failure>) -> Result<(), StoreError> {
        match stored {
            Ok(()) => self.note_destination(id, Ok(())).await,
            Err(failure) => match is_destination_reached(failure.code) {
                Some(true) => self.note_destination(id, Ok(())).await,
                Some(false) if failure.code == FailureCode::StoreOffline && self.is_held_by_somebody(id).await? => {
                    Ok(())
                }
                Some(false) => self.note_destination(id, Err(&failure.to_string())).await,
                None => Ok(()),
            },
        }
    }

    /// How often it failed in a row, as is counted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failures(&self, about: About) -> Result<i32, StoreError> {
        let sql = "SELECT failures FROM unreached
                   WHERE team_id = $1 AND (remote_server_id = $2 OR backup_destination_id = $3)";
        let [server, destination] = columns(about);
        let values = [self.0.team_id().0.into(), server, destination];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = self.0.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "failures")).transpose()?.unwrap_or(0))
    }

    /// When it is looked at next.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_again(&self, about: About, after: Duration) -> Result<(), StoreError> {
        let sql = match about {
            About::Server(_) => {
                "UPDATE remote_servers SET next_watch_at = now() + make_interval(secs => $3) WHERE id = $1 AND team_id = $2"
            }
            _ => {
                "UPDATE backup_destinations SET next_watch_at = now() + make_interval(secs => $3)
                 WHERE id = $1 AND team_id = $2"
            }
        };
        let values = [id(about).into(), self.0.team_id().0.into(), after.as_secs_f64().into()];
        self.0.change(sql, values).await.map(drop)
    }

    /// Whether a worker that lives holds the destination's store: it is there, but not where this was tried.
    async fn is_held_by_somebody(&self, id: BackupDestinationId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM backup_destinations d JOIN workers w ON d.store_id = ANY (w.store_ids)
                   WHERE d.id = $1 AND d.team_id = $2 AND w.seen_at > now() - make_interval(secs => $3) LIMIT 1";
        let values = [id.0.into(), self.0.team_id().0.into(), WORKER_ALIVE_SECS.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(self.0.conn().query_one_raw(statement).await?.is_some())
    }

    async fn note(&self, about: About, place: Option<&str>, answered: Answered<'_>) -> Result<(), StoreError> {
        let Some(known) = self.known(about, answered.is_err()).await? else { return Ok(()) };
        if place.is_some_and(|place| place != known.place) {
            return Ok(());
        }
        let before = known.before();
        let (after, change) = after_try(before, answered.is_ok(), known.now);
        match after {
            Some(after) if Some(after) != before => self.put(about, &known.place, after).await?,
            None if before.is_some() => self.forget(about).await?,
            _ => {}
        }
        match (change, before) {
            (Some(change), Some(before)) => self.tell(about, change, before, answered).await,
            _ => Ok(()),
        }
    }

    /// What is known of something that is not deleted. Locked where it fails or failed, so that tries that end together
    /// are counted one after the other; not locked, and none, where nothing is to be written.
    async fn known(&self, about: About, is_failed: bool) -> Result<Option<Known>, StoreError> {
        let (sql, lock) = match about {
            About::Server(_) => (
                "SELECT now() AS now, x.port || ' ' || x.host AS place,
                        u.failures, u.failing_since, u.counted_at, u.is_told
                 FROM remote_servers x LEFT JOIN unreached u
                   ON u.remote_server_id = x.id AND u.team_id = x.team_id AND u.place = x.port || ' ' || x.host
                 WHERE x.id = $1 AND x.team_id = $2 AND x.deleted_at IS NULL",
                "SELECT 1 FROM remote_servers WHERE id = $1 AND team_id = $2 FOR NO KEY UPDATE",
            ),
            // The sealed keys are part of it: sealed anew they differ, whatever they say.
            _ => (
                "SELECT now() AS now, p.place, u.failures, u.failing_since, u.counted_at, u.is_told
                 FROM backup_destinations x
                 CROSS JOIN LATERAL (SELECT md5(concat_ws(' ', x.type, x.config::text, encode(x.sealed_access_key, 'hex'),
                                                          encode(x.sealed_secret_key, 'hex'))) AS place) p
                 LEFT JOIN unreached u
                   ON u.backup_destination_id = x.id AND u.team_id = x.team_id AND u.place = p.place
                 WHERE x.id = $1 AND x.team_id = $2 AND x.deleted_at IS NULL",
                "SELECT 1 FROM backup_destinations WHERE id = $1 AND team_id = $2 FOR NO KEY UPDATE",
            ),
        };
        let values = || [id(about).into(), self.0.team_id().0.into()];
        let read = || Known::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values()));
        let seen = read().one(self.0.conn()).await?;
        if !is_failed && seen.as_ref().is_none_or(|known| known.failures.is_none()) {
            return Ok(None);
        }
        self.0.change(lock, values()).await?;
        Ok(read().one(self.0.conn()).await?)
    }

    async fn put(&self, about: About, place: &str, state: Unreached) -> Result<(), StoreError> {
        self.forget(about).await?;
        let sql =
            "INSERT INTO unreached (team_id, remote_server_id, backup_destination_id, place, failures, failing_since,
                                          counted_at, is_told)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let [server, destination] = columns(about);
        let values = [
            self.0.team_id().0.into(),
            server,
            destination,
            place.into(),
            state.failures.into(),
            state.failing_since.into(),
            state.counted_at.into(),
            state.is_told.into(),
        ];
        self.0.change(sql, values).await.map(drop)
    }

    async fn forget(&self, about: About) -> Result<(), StoreError> {
        let sql = "DELETE FROM unreached WHERE team_id = $1 AND (remote_server_id = $2 OR backup_destination_id = $3)";
        let [server, destination] = columns(about);
        self.0.change(sql, [self.0.team_id().0.into(), server, destination]).await.map(drop)
    }

    async fn tell(
        &self,
        about: About,
        change: ReachChange,
        before: Unreached,
        answered: Answered<'_>,
    ) -> Result<(), StoreError> {
        let (kind, event) = match (about, change) {
            (About::Server(_), ReachChange::Lost) => ("server", EventKind::ServerOffline),
            (About::Server(_), ReachChange::Back) => ("server", EventKind::ServerOnline),
            (_, ReachChange::Lost) => ("destination", EventKind::DestinationUnreachable),
            (_, ReachChange::Back) => ("destination", EventKind::DestinationBack),
        };
        let message_id = format!("{}_{}_{}", event.as_str(), id(about), before.failing_since.timestamp_micros());
        let message = self.0.outbox().message(about, message_id).await?;
        let since = local_time(before.failing_since, &message.timezone);
        let reason = match answered {
            Ok(()) => format!("This {kind} did not answer since {since}."),
            Err(why) => format!("Since {since}: {why}"),
        };
        let message = Message { reason: Some(reason), ..message };
        self.0.outbox().announce(about, &[event], &message).await.map(drop)
    }
}

impl Known {
    fn before(&self) -> Option<Unreached> {
        Some(Unreached {
            failures: self.failures?,
            failing_since: self.failing_since?,
            counted_at: self.counted_at?,
            is_told: self.is_told?,
        })
    }
}

fn id(about: About) -> i64 {
    match about {
        About::Team => 0,
        About::Task(id) => id.0,
        About::Server(id) => id.0,
        About::Destination(id) => id.0,
    }
}

/// `remote_server_id` and `backup_destination_id`.
fn columns(about: About) -> [Value; 2] {
    match about {
        About::Server(RemoteServerId(id)) => [Some(id).into(), None::<i64>.into()],
        _ => [None::<i64>.into(), Some(id(about)).into()],
    }
}
