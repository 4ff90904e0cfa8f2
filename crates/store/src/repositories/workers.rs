//! Workers alive: how the api finds one. No tenant's rows, so no team is needed.

use crate::system::call;
use crate::{Store, StoreError, rows};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};

/// A row older than this is of a worker that did not say goodbye.
const FORGOTTEN_AFTER_SECS: f64 = 3600.0;

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub struct WorkerState<'a> {
    /// Unique to the process start.
    pub name: &'a str,
    /// The product's version.
    pub version: &'a str,
    /// Where its data plane listens, as the api reaches it.
    pub data_plane_url: &'a str,
    /// Stores it holds.
    pub store_ids: &'a [String],
    /// Jobs it works on.
    pub running: i32,
    /// Jobs it can work on at once.
    pub capacity: i32,
    /// The machine's name.
    pub host: &'a str,
    /// The machine's load average over a minute, where it tells.
    pub load_1m: Option<f64>,
}

impl Store {
    /// Says that a worker is alive, and what it holds.
    ///
    /// # Errors
    /// The database failed.
    pub async fn worker_seen(&self, worker: &WorkerState<'_>) -> Result<(), StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO workers (name, version, data_plane_url, store_ids, running, capacity, host, load_1m)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name) DO UPDATE SET seen_at = now(), store_ids = excluded.store_ids, running = excluded.running,
                                              data_plane_url = excluded.data_plane_url, capacity = excluded.capacity,
                                              host = excluded.host, load_1m = excluded.load_1m",
            [
                worker.name.into(),
                worker.version.into(),
                worker.data_plane_url.into(),
                worker.store_ids.to_vec().into(),
                worker.running.into(),
                worker.capacity.into(),
                worker.host.into(),
                worker.load_1m.into(),
            ],
        );
        self.db().execute_raw(statement).await?;
        Ok(())
    }

    /// Whether a living worker other than `name` holds one of these stores.
    ///
    /// # Errors
    /// The database failed.
    pub async fn is_held_elsewhere(&self, store_ids: Vec<String>, name: &str) -> Result<bool, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT 1 AS one FROM workers WHERE store_ids && $1 AND name <> $2
               AND seen_at > now() - make_interval(secs => $3) LIMIT 1",
            [store_ids.into(), name.into(), super::tickets::WORKER_ALIVE_SECS.into()],
        );
        Ok(self.db().query_one_raw(statement).await?.is_some())
    }

    /// Forgets a worker that ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn worker_gone(&self, name: &str) -> Result<(), StoreError> {
        rows::workers::Entity::delete_by_id(name.to_owned()).exec(self.db()).await?;
        self.db().execute_raw(call("DELETE FROM draining_workers WHERE name = $1", [name.into()])).await?;
        Ok(())
    }

    /// Forgets workers that died without saying so, and the queue library's rows that nobody needs any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_workers_and_jobs(&self) -> Result<(), StoreError> {
        let dead = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "DELETE FROM workers WHERE seen_at < now() - make_interval(secs => $1)",
            [FORGOTTEN_AFTER_SECS.into()],
        );
        self.db().execute_raw(dead).await?;
        // Runs are the truth, so a finished job is only noise; its key may be used again after a day.
        for sql in [
            "DELETE FROM draining_workers WHERE draining_since < now() - interval '1 day'",
            "DELETE FROM apalis.jobs WHERE status IN ('Done', 'Killed') AND done_at < now() - interval '1 day'",
            "DELETE FROM apalis.workers w WHERE last_seen < now() - interval '1 day'
               AND NOT EXISTS (SELECT 1 FROM apalis.jobs j WHERE j.lock_by = w.id)",
        ] {
            self.db().execute_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        }
        Ok(())
    }
}
