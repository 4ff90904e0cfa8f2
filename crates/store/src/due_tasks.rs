//! Due tasks of every team, taken together: locked, looked at, and settled in one transaction. Nothing here decides what
//! becomes of a due time (that is [`holdfast_domain::schedule`]); and nothing here makes a run of a task that is not locked
//! and due.

use crate::queue::{self, Job};
use crate::repositories::task_timing::TaskTiming;
use crate::system::call;
use crate::{Access, Store, StoreError, TeamTx};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::{BackupRunId, BackupTaskId, TeamId};
use holdfast_domain::schedule::{CatchUp, Due, Made};
use holdfast_domain::{Limit, TeamLimits};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, TransactionTrait};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// No two slots of a schedule are closer.
const SLOTS_APART: TimeDelta = TimeDelta::seconds(60);

/// A task that is due.
#[derive(Clone, Debug)]
pub struct DueTask {
    /// Whose.
    pub team_id: TeamId,
    /// Which.
    pub id: BackupTaskId,
    /// What makes its starts its own.
    pub seal_id: Uuid,
    /// Since when, and for which slot.
    pub due: Due,
    /// Since when its schedule holds as it stands; of a task that is on time, long ago.
    pub since: DateTime<Utc>,
    /// When it runs.
    pub timing: TaskTiming,
    /// Whether its team is suspended.
    pub is_suspended: bool,
    /// Whether a run of it is active.
    pub is_active: bool,
    /// How many runs its team may still have at once, whichever of its tasks they are of; none = any number.
    pub room: Option<i64>,
    /// Whether the team's copies take all the bytes that they may.
    pub is_full: bool,
}

/// Due tasks, locked against other schedulers until they are settled. Dropped, they stay due.
pub struct DueBatch {
    txn: DatabaseTransaction,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Those that have been due longest first.
    pub tasks: Vec<DueTask>,
}

/// What becomes of one of them.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Whose.
    pub team_id: TeamId,
    /// Which.
    pub task: BackupTaskId,
    /// Its slot that was due.
    pub slot: DateTime<Utc>,
    /// Rows, each with a name of its own (a ULID).
    pub made: Vec<(Made, String)>,
    /// When it is due next; none = never again.
    pub next: Option<Due>,
    /// What the team is told.
    pub news: Option<News>,
}

/// What a team is told of a due time.
#[derive(Clone, Debug)]
pub enum News {
    /// It made no run of its own.
    Missed(String),
    /// The task is not scheduled any more.
    Unreadable(String),
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    team_id: i64,
    seal_id: Uuid,
    next_run_at: DateTime<Utc>,
    next_slot_at: Option<DateTime<Utc>>,
    frequency: String,
    time_to_run_at: Option<String>,
    custom_cron: Option<String>,
    timezone: Option<String>,
    weekday: Option<i16>,
    weekdays: Vec<i16>,
    minute: Option<i16>,
    month_day: Option<i16>,
    interval_secs: Option<i32>,
    interval_from: Option<DateTime<Utc>>,
    window_from: Option<String>,
    window_until: Option<String>,
    jitter_secs: i32,
    catch_up: String,
    is_suspended: bool,
    is_active: bool,
    room: Option<i64>,
    is_full: bool,
}

impl From<Row> for DueTask {
    fn from(row: Row) -> Self {
        Self {
            team_id: TeamId(row.team_id),
            id: BackupTaskId(row.id),
            seal_id: row.seal_id,
            due: Due { slot: row.next_slot_at.unwrap_or(row.next_run_at), at: row.next_run_at },
            since: DateTime::UNIX_EPOCH,
            timing: TaskTiming {
                frequency: row.frequency,
                time_to_run_at: row.time_to_run_at,
                custom_cron: row.custom_cron,
                timezone: row.timezone,
                weekday: row.weekday,
                weekdays: row.weekdays,
                minute: row.minute,
                month_day: row.month_day,
                interval_secs: row.interval_secs,
                interval_from: row.interval_from,
                window_from: row.window_from,
                window_until: row.window_until,
                jitter_secs: row.jitter_secs,
                catch_up: CatchUp::of_stored(&row.catch_up),
            },
            is_suspended: row.is_suspended,
            is_active: row.is_active,
            room: row.room,
            is_full: row.is_full,
        }
    }
}

impl Store {
    /// How long until the next task is due; nothing where one is, none where none ever will be.
    ///
    /// # Errors
    /// The database failed.
    pub async fn next_due_in(&self) -> Result<Option<Duration>, StoreError> {
        let row = self.db().query_one_raw(call("SELECT next_task_due_secs() AS secs", [])).await?;
        let secs: Option<f64> = row.map(|row| row.try_get("", "secs")).transpose()?.flatten();
        Ok(secs.map(|secs| {
            Duration::try_from_secs_f64(secs).unwrap_or(if secs > 0.0 { Duration::MAX } else { Duration::ZERO })
        }))
    }

    /// Locks the tasks that have been due longest, at most `at_most`, and their teams, where nobody else has them; not those
    /// of `except`, nor those of a team that has as many runs at once as it may.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lock_due_tasks(
        &self,
        at_most: i32,
        except: &[BackupTaskId],
        defaults: &TeamLimits,
    ) -> Result<DueBatch, StoreError> {
        let usual = |limit| defaults.of(limit).map_or(0, |n| i64::try_from(n).unwrap_or(i64::MAX));
        let except: Vec<i64> = except.iter().map(|id| id.0).collect();
        let values = [at_most.into(), except.into(), usual(Limit::RunsAtOnce).into(), usual(Limit::StoredBytes).into()];
        let txn = self.db().begin().await?;
        let rows = txn.query_all_raw(call("SELECT * FROM lock_due_tasks($1, $2, $3, $4)", values)).await?;
        let mut tasks: Vec<DueTask> =
            rows.iter().map(|row| Ok(Row::from_query_result(row, "")?.into())).collect::<Result<_, StoreError>>()?;
        let now = txn.query_one_raw(call("SELECT now() AS now", [])).await?;
        let now = now.map(|row| row.try_get("", "now")).transpose()?.unwrap_or_default();
        note_since(&txn, &mut tasks, now).await?;
        Ok(DueBatch { txn, now, tasks })
    }
}

/// Reads since when the schedules hold of those tasks that can have missed a slot: of what is on time it does not matter.
async fn note_since(txn: &DatabaseTransaction, tasks: &mut [DueTask], now: DateTime<Utc>) -> Result<(), StoreError> {
    let is_late = |task: &&DueTask| now - task.due.slot >= SLOTS_APART;
    let late: Vec<i64> = tasks.iter().filter(is_late).map(|task| task.id.0).collect();
    if late.is_empty() {
        return Ok(());
    }
    let mut since: HashMap<i64, DateTime<Utc>> = HashMap::new();
    for row in txn.query_all_raw(call("SELECT * FROM tasks_scheduled_since($1)", [late.into()])).await? {
        since.insert(row.try_get("", "id")?, row.try_get("", "scheduled_since")?);
    }
    for task in tasks {
        task.since = since.get(&task.id.0).copied().unwrap_or(task.since);
    }
    Ok(())
}

impl DueBatch {
    /// Writes runs, their jobs, next times and news, and commits. Returns how many runs wait for a worker.
    ///
    /// # Errors
    /// The database failed; nothing was written then, and the tasks stay due.
    pub async fn settle(self, settled: &[Settled]) -> Result<usize, StoreError> {
        let queued = match self.write(settled).await {
            Ok(queued) => queued,
            // Here and now: a transaction that is dropped lets go of its locks some time later, and whoever looks meanwhile
            // finds nothing due.
            Err(error) => {
                self.txn.rollback().await?;
                return Err(error);
            }
        };
        let mut txn = self.txn;
        for one in settled {
            let Some(news) = &one.news else { continue };
            let tx = TeamTx::enter(txn, Access::system(one.team_id, "schedule")).await?;
            match news {
                News::Missed(why) => tx.tell_missed(one.task, one.slot, why.clone()).await?,
                News::Unreadable(why) => tx.tell_unscheduled(one.task, one.slot, why.clone()).await?,
            }
            txn = tx.txn;
        }
        txn.commit().await?;
        Ok(queued)
    }

    async fn write(&self, settled: &[Settled]) -> Result<usize, StoreError> {
        let queued = self.make_runs(settled).await?;
        let jobs: Vec<Job> = queued.iter().map(|run| Job::ExecuteRun(*run, 1)).collect();
        queue::enqueue_all(&self.txn, &jobs).await?;
        let tasks: Vec<i64> = settled.iter().map(|one| one.task.0).collect();
        // An array of this kind holds no nulls.
        let never = DateTime::UNIX_EPOCH;
        let next = |one: &Settled| one.next.map_or((never, never), |due| (due.at, due.slot));
        let (runs, slots): (Vec<DateTime<Utc>>, Vec<DateTime<Utc>>) = settled.iter().map(next).unzip();
        self.txn
            .execute_raw(call("SELECT set_next_due($1, $2, $3)", [tasks.into(), runs.into(), slots.into()]))
            .await?;
        Ok(jobs.len())
    }

    async fn make_runs(&self, settled: &[Settled]) -> Result<Vec<BackupRunId>, StoreError> {
        let rows = || settled.iter().flat_map(|one| one.made.iter().map(move |made| (one.task, made)));
        let tasks: Vec<i64> = rows().map(|(task, _)| task.0).collect();
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let slots: Vec<DateTime<Utc>> = rows().map(|(_, (made, _))| made.slot).collect();
        let ulids: Vec<String> = rows().map(|(_, (_, ulid))| ulid.clone()).collect();
        let statuses: Vec<String> = rows().map(|(_, (made, _))| made.outcome.status().to_owned()).collect();
        let whys: Vec<String> =
            rows().map(|(_, (made, _))| made.outcome.why().unwrap_or_default().to_owned()).collect();
        let sql = "SELECT id, status FROM make_scheduled_runs($1, $2, $3, $4, $5)";
        let values = [tasks.into(), slots.into(), ulids.into(), statuses.into(), whys.into()];
        let mut queued = Vec::new();
        for row in self.txn.query_all_raw(call(sql, values)).await? {
            if row.try_get::<String>("", "status")? == "queued" {
                queued.push(BackupRunId(row.try_get("", "id")?));
            }
        }
        Ok(queued)
    }
}
