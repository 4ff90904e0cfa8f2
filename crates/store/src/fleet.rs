//! What operators see of the workers and their periodic loops. Nothing here tells anything of a team but ids.

use crate::repositories::tickets::WORKER_ALIVE_SECS;
use crate::system::call;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

/// A worker that lives, died lately, or ends.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct WorkerRow {
    pub name: String,
    pub version: String,
    pub host: String,
    pub load_1m: Option<f64>,
    pub running: i32,
    pub capacity: i32,
    pub store_ids: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub seen_at: DateTime<Utc>,
    pub is_alive: bool,
    pub draining_since: Option<DateTime<Utc>>,
}

/// A thing that a worker works on.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct HeldRow {
    pub worker: String,
    /// `backup_run`, `restore`, `backup_copy`.
    pub kind: String,
    pub id: i64,
}

/// The latest round of a periodic loop.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct ReconcilerRow {
    pub name: String,
    pub interval_secs: f64,
    pub worker: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub error: Option<String>,
    pub requested_at: Option<DateTime<Utc>>,
    pub forced_at: Option<DateTime<Utc>>,
}

/// A round that is over.
#[derive(Clone, Debug)]
pub struct Round<'a> {
    /// The loop.
    pub name: &'a str,
    /// Between two rounds.
    pub interval_secs: f64,
    /// On which worker.
    pub worker: &'a str,
    /// How long it took.
    pub took_secs: f64,
    /// Why it failed.
    pub error: Option<String>,
    /// An operator wanted it.
    pub is_forced: bool,
}

impl Store {
    /// Workers and those that end, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        let sql = "SELECT name, version, host, load_1m, running, capacity, store_ids, started_at, seen_at,
                          seen_at > now() - make_interval(secs => $1) AS is_alive, NULL::timestamptz AS draining_since
                   FROM workers
                   UNION ALL
                   SELECT name, version, host, NULL, 0, capacity, store_ids, started_at, draining_since, false,
                          draining_since
                   FROM draining_workers
                   ORDER BY name";
        Ok(WorkerRow::find_by_statement(call(sql, [WORKER_ALIVE_SECS.into()])).all(self.db()).await?)
    }

    /// What workers work on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn held_by_workers(&self) -> Result<Vec<HeldRow>, StoreError> {
        let sql = "SELECT worker, kind, id FROM held_by_workers() WHERE worker IS NOT NULL";
        Ok(HeldRow::find_by_statement(call(sql, [])).all(self.db()).await?)
    }

    /// Says that a worker takes nothing more: nobody finds it any more who looks for one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn worker_drains(&self, name: &str) -> Result<(), StoreError> {
        let sql = "WITH gone AS (DELETE FROM workers WHERE name = $1 RETURNING *)
                   INSERT INTO draining_workers (name, version, store_ids, capacity, host, started_at)
                   SELECT name, version, store_ids, capacity, host, started_at FROM gone
                   ON CONFLICT (name) DO NOTHING";
        self.db().execute_raw(call(sql, [name.into()])).await?;
        Ok(())
    }

    /// The loops whose rounds were noted, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reconcilers(&self) -> Result<Vec<ReconcilerRow>, StoreError> {
        let sql = "SELECT name, interval_secs, worker, started_at, ended_at, error, requested_at, forced_at
                   FROM reconcilers ORDER BY name";
        Ok(ReconcilerRow::find_by_statement(call(sql, [])).all(self.db()).await?)
    }

    /// Notes that a round is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_round(&self, round: &Round<'_>) -> Result<(), StoreError> {
        let sql = "INSERT INTO reconcilers AS r (name, interval_secs, worker, started_at, ended_at, error, forced_at)
                   VALUES ($1, $2, $3, now() - make_interval(secs => $4), now(), $5, CASE WHEN $6 THEN now() END)
                   ON CONFLICT (name) DO UPDATE
                   SET interval_secs = excluded.interval_secs, worker = excluded.worker, started_at = excluded.started_at,
                       ended_at = excluded.ended_at, error = excluded.error,
                       forced_at = coalesce(excluded.forced_at, r.forced_at)";
        let values = [
            round.name.into(),
            round.interval_secs.into(),
            round.worker.into(),
            round.took_secs.into(),
            round.error.clone().into(),
            round.is_forced.into(),
        ];
        self.db().execute_raw(call(sql, values)).await?;
        Ok(())
    }

    /// Asks for a round of one loop; `false` where no worker ever ran one of that name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_round(&self, name: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE reconcilers SET requested_at = coalesce(requested_at, now()) WHERE name = $1";
        Ok(self.db().execute_raw(call(sql, [name.into()])).await?.rows_affected() == 1)
    }

    /// Takes one request for a round of one of these loops, so that no other worker answers it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_requested_round(&self, names: &[&str]) -> Result<Option<String>, StoreError> {
        let sql = "UPDATE reconcilers SET requested_at = NULL
                   WHERE name = (SELECT name FROM reconcilers WHERE requested_at IS NOT NULL AND name = ANY ($1)
                                 ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED)
                   RETURNING name";
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let row = self.db().query_one_raw(call(sql, [names.into()])).await?;
        Ok(row.map(|row| row.try_get("", "name")).transpose()?)
    }
}
