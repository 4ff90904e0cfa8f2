//! The watch over tasks whose success did not come (security.md S71). It stands outside the job queue and runs in every
//! api and worker process, because whatever keeps backups from being made may keep workers from running too. It opens no
//! secret and reaches nobody: it writes down that something is to be told.

use crate::repositories::expectations::Absence;
use crate::system::call;
use crate::{Access, Store, StoreError, TeamTx};
use holdfast_domain::ids::{BackupTaskId, TeamId};
use holdfast_domain::notification::EventKind;
use holdfast_domain::schedule::local_time;
use holdfast_domain::telling::About;
use sea_orm::Statement;
use std::time::Duration;

/// Tasks that one query names.
const AT_ONCE: i32 = 200;

impl Store {
    /// One round: what is to be computed anew is, and each absence is announced, once however many processes watch.
    /// Returns how many were. A task that makes trouble is logged and keeps no other from being looked at.
    ///
    /// # Errors
    /// The tasks could not be read.
    pub async fn watch_absence(&self, default_grace: Duration) -> Result<usize, StoreError> {
        let (mut after, mut found) = (BackupTaskId(0), true);
        while found {
            found = false;
            for (team, task) in self.tasks(after_id("SELECT * FROM tasks_with_due_expectation($1, $2)", after)).await? {
                (after, found) = (task, true);
                if let Err(error) = self.renew(team, task, default_grace).await {
                    tracing::error!(%task, ?error, "when its next success is expected could not be computed");
                }
            }
        }
        let (mut after, mut found, mut alarms) = (BackupTaskId(0), true, 0);
        while found {
            found = false;
            for (team, task) in self.tasks(after_id("SELECT * FROM overdue_tasks($1, $2)", after)).await? {
                (after, found) = (task, true);
                match self.alarm(team, task).await {
                    Ok(is_new) => alarms += usize::from(is_new),
                    Err(error) => tracing::error!(%task, ?error, "that it is overdue could not be announced"),
                }
            }
        }
        Ok(alarms)
    }

    async fn renew(&self, team: TeamId, task: BackupTaskId, default_grace: Duration) -> Result<(), StoreError> {
        let tx = self.for_team(&Access::system(team, "absence")).await?;
        tx.expectations().renew(task, default_grace).await?;
        tx.commit().await
    }

    async fn alarm(&self, team: TeamId, task: BackupTaskId) -> Result<bool, StoreError> {
        let tx = self.for_team(&Access::system(team, "absence")).await?;
        let Some(absence) = tx.expectations().mark_overdue(task).await? else { return Ok(false) };
        announce(&tx, task, &absence).await?;
        tx.commit().await?;
        tracing::warn!(%task, expected_by = %absence.expected_by, "no success of the task came in time");
        Ok(true)
    }
}

fn after_id(sql: &'static str, after: BackupTaskId) -> Statement {
    call(sql, [after.0.into(), AT_ONCE.into()])
}

/// Tells the team, in the transaction that marks the task. A fault here takes the mark back, so that the next round tries
/// again: an alarm must not get lost.
async fn announce(tx: &TeamTx, task: BackupTaskId, absence: &Absence) -> Result<(), StoreError> {
    let about = About::Task(task);
    let id = format!("task_{task}_overdue_{}", absence.expected_by.timestamp());
    let mut message = tx.outbox().message(about, id).await?;
    let shown = |at| local_time(at, &message.timezone);
    let last = absence
        .last_success_at
        .map_or("There never was one.".to_owned(), |at| format!("The last one was at {}.", shown(at)));
    message.reason = Some(format!("No success came by {}. {last}", shown(absence.expected_by)));
    tx.outbox().announce(about, &[EventKind::Overdue], &message).await.map(drop)
}
