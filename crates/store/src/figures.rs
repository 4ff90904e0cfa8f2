//! Counts over all teams for the operator's metrics. Nothing here may tell one team from another.

use crate::repositories::tickets::WORKER_ALIVE_SECS;
use crate::{Store, StoreError};
use sea_orm::{DbBackend, FromQueryResult, Statement};

/// What is waiting and what is under way, now.
#[derive(Clone, Debug, Default, PartialEq, FromQueryResult)]
pub struct Figures {
    /// Runs that no worker has taken yet.
    pub runs_queued: i64,
    /// Runs that a worker works on.
    pub runs_running: i64,
    /// For how long the queued run that was due first has been due.
    pub oldest_queued_secs: f64,
    /// Restores that no worker has taken yet.
    pub restores_queued: i64,
    /// Restores that a worker works on.
    pub restores_running: i64,
    /// Copies made later that are not there yet.
    pub copies_unfinished: i64,
    /// Messages on their way.
    pub deliveries_open: i64,
    /// Messages that were given up.
    pub deliveries_dead: i64,
    /// Jobs on the queue that no worker has taken.
    pub jobs_pending: i64,
    /// Workers that said lately that they live.
    pub workers_alive: i64,
}

impl Store {
    /// The figures; one query.
    ///
    /// # Errors
    /// The database failed.
    pub async fn figures(&self) -> Result<Figures, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT f.*, (SELECT count(*) FROM apalis.jobs WHERE status = 'Pending') AS jobs_pending,
                    (SELECT count(*) FROM workers WHERE seen_at > now() - make_interval(secs => $1)) AS workers_alive
             FROM operator_figures() f",
            [WORKER_ALIVE_SECS.into()],
        );
        Ok(Figures::find_by_statement(statement).one(self.db()).await?.unwrap_or_default())
    }
}
