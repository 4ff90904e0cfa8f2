//! Which run or copy a worker takes next. Postgres decides, in one statement: a job of the queue is only a nudge, so who
//! hears of it first, or hears nothing, changes nothing. Nothing here may look at a job.

use crate::repositories::tickets::WORKER_ALIVE_SECS;
use crate::system::call;
use crate::{Access, Store, StoreError, TeamTx};
use holdfast_domain::ids::{BackupCopyId, BackupRunId, TeamId};
use sea_orm::{ConnectionTrait, QueryResult, TransactionTrait, Value};

/// Who takes.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// The worker.
    pub name: &'a str,
    /// The local stores that it holds.
    pub store_ids: &'a [String],
    /// How long the claim holds without a heartbeat.
    pub lease_secs: f64,
    /// Attempts that a run or copy may have.
    pub max_attempts: i32,
    /// Runs under way that a team may have which has no limit of its own; 0 = no limit.
    pub usual_runs_at_once: i64,
}

/// What a claim won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed<Id> {
    /// Which.
    pub id: Id,
    /// Whose it is.
    pub team_id: TeamId,
    /// The right to write, until another claim raises it.
    pub epoch: i32,
    /// Counted before any work, from 1.
    pub attempt: i32,
}

impl Store {
    /// Claims the run that `taker` is to execute next: raises its epoch and counts the attempt, of which the first is told
    /// of. Teams have their turns; within a team a higher priority comes first, then what was due first. One whose first
    /// local destination lies in the store of another living worker is that worker's, and one whose server, destination
    /// or team has as many as it may waits. `None`: there is none that is due, wanted, with attempts left and free.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_run(&self, taker: &Taker<'_>) -> Result<Option<Claimed<BackupRunId>>, StoreError> {
        let txn = self.db().begin().await?;
        let sql = "SELECT id, team_id, epoch, attempt FROM take_backup_run($1, $2, $3, $4, $5, $6)";
        let values = values(taker).into_iter().chain([taker.usual_runs_at_once.into()]);
        let Some(row) = txn.query_one_raw(call(sql, values)).await? else {
            return Ok(None);
        };
        let claimed = claimed(&row, BackupRunId)?;
        let tx = TeamTx::enter(txn, Access::system(claimed.team_id, "a run begins")).await?;
        if claimed.attempt == 1 {
            tx.tell_run_started(claimed.id).await?;
        }
        tx.commit().await?;
        Ok(Some(claimed))
    }

    /// Claims the copy of a backup that `taker` is to make next. One that needs the store of another living worker, and
    /// none of `taker`'s, is that worker's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_copy(&self, taker: &Taker<'_>) -> Result<Option<Claimed<BackupCopyId>>, StoreError> {
        let sql = "SELECT id, team_id, epoch, attempt FROM take_backup_copy($1, $2, $3, $4, $5)";
        let row = self.db().query_one_raw(call(sql, values(taker))).await?;
        row.map(|row| claimed(&row, BackupCopyId)).transpose()
    }
}

fn values(taker: &Taker<'_>) -> [Value; 5] {
    [
        taker.name.into(),
        taker.store_ids.to_vec().into(),
        taker.lease_secs.into(),
        taker.max_attempts.into(),
        WORKER_ALIVE_SECS.into(),
    ]
}

fn claimed<Id>(row: &QueryResult, id: fn(i64) -> Id) -> Result<Claimed<Id>, StoreError> {
    Ok(Claimed {
        id: id(row.try_get("", "id")?),
        team_id: TeamId(row.try_get("", "team_id")?),
        epoch: row.try_get("", "epoch")?,
        attempt: row.try_get("", "attempt")?,
    })
}
