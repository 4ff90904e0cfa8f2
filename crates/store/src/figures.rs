//! Counts over all teams for the operator's metrics, and figures of single tasks by their ids. Nothing here may tell what a
//! team or a task is called, or anything else that somebody wrote.

use crate::repositories::tickets::WORKER_ALIVE_SECS;
use crate::system::call;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

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

/// What is told of one task: ids and figures.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct TaskFigures {
    /// Whose.
    pub team_id: i64,
    /// Which.
    pub task_id: i64,
    /// Whether its schedule is paused.
    pub is_paused: bool,
    /// How its latest run that is over ended; none where there was none.
    pub last_status: Option<String>,
    /// When its latest success ended.
    pub success_at: Option<DateTime<Utc>>,
    /// How long ago that is, by the database's clock.
    pub success_age_secs: Option<f64>,
    /// How long that run took.
    pub success_secs: Option<f64>,
    /// Plain bytes of it.
    pub original_size: Option<i64>,
    /// Stored bytes of it, at each destination.
    pub stored_size: Option<i64>,
}

/// How late the scheduled runs of the last hour began.
#[derive(Clone, Debug, Default, PartialEq, FromQueryResult)]
pub struct Lateness {
    /// How many there were.
    pub runs: i64,
    /// The median.
    pub half_secs: f64,
    /// All but one in a hundred were not later.
    pub most_secs: f64,
    /// The latest.
    pub max_secs: f64,
}

/// A living worker.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct WorkerFigures {
    /// Its name.
    pub name: String,
    /// What it works on.
    pub running: i32,
    /// What it works on at most.
    pub capacity: i32,
}

/// Figures of single tasks and workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Of the tasks with the lowest ids.
    pub tasks: Vec<TaskFigures>,
    /// Tasks of which nothing is told.
    pub tasks_left_out: i64,
    /// Of the last hour.
    pub lateness: Lateness,
    /// Those that said lately that they live.
    pub workers: Vec<WorkerFigures>,
}

impl Store {
    /// Figures of at most `most_tasks` tasks, and of the workers.
    ///
    /// # Errors
    /// The database failed.
    pub async fn detailed_figures(&self, most_tasks: u32) -> Result<Details, StoreError> {
        let most = i32::try_from(most_tasks).unwrap_or(i32::MAX);
        let tasks = call("SELECT * FROM task_figures($1)", [most.into()]);
        let tasks = TaskFigures::find_by_statement(tasks).all(self.db()).await?;
        let count = self.db().query_one_raw(call("SELECT task_count() AS n", [])).await?;
        let count: i64 = count.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        let lateness = Lateness::find_by_statement(call("SELECT * FROM start_lateness()", []));
        let workers = "SELECT name, running, capacity FROM workers
                       WHERE seen_at > now() - make_interval(secs => $1) ORDER BY name";
        let workers = WorkerFigures::find_by_statement(call(workers, [WORKER_ALIVE_SECS.into()]));
        Ok(Details {
            tasks_left_out: count - i64::try_from(tasks.len()).unwrap_or(0),
            tasks,
            lateness: lateness.one(self.db()).await?.unwrap_or_default(),
            workers: workers.all(self.db()).await?,
        })
    }

    /// Whether the schema has what the migration of this name brought. A schema that is newer has it too.
    ///
    /// # Errors
    /// The database failed, or its schema is so old that it cannot be asked.
    pub async fn has_migration(&self, name: &str) -> Result<bool, StoreError> {
        crate::system::truth(self.db(), call("SELECT has_migration($1)", [name.into()])).await
    }
}
