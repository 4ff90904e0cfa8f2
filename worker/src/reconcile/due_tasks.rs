//! The scheduler. Run, job and next due time are one transaction, so a due time makes one run however many schedulers
//! look, and one that was missed while nothing ran is made up for once.

use crate::context::WorkerContext;
use chrono::{DateTime, Utc};
use holdfast_domain::Limit;
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::schedule::{Schedule, ScheduleColumns};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::schedule::ScheduledRun;
use holdfast_store::system_runs::DueTask;
use holdfast_store::{StoreError, TeamTx, rows};

/// Tasks of one round.
const AT_MOST: usize = 200;

/// Missed due times are counted up to here.
const PASSED_MAX: u32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for _ in 0..AT_MOST {
        let Some(due) = context.store.lock_due_task(&context.usual_limits()).await? else { return Ok(()) };
        schedule(context, due).await?;
    }
    Ok(())
}

async fn schedule(context: &WorkerContext, due: DueTask) -> Result<(), StoreError> {
    let DueTask { tx, task_id, now } = due;
    let Some(task) = tx.sealed().task(task_id).await? else { return Ok(()) };
    // A suspended team's schedules go on without runs, so that nothing is made up for when the suspension is lifted.
    let is_suspended = tx.sealed().team().await?.suspended_at.is_some();
    if let Some(scheduled_for) = task.next_run_at.filter(|_| !is_suspended) {
        if is_for_later(context, &tx, task_id).await? {
            return Ok(());
        }
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let bits = u128::from(context.random.bits()) << 64 | u128::from(context.random.bits());
        let ulid = ulid::Ulid::from_parts(millis, bits).to_string();
        let is_full = tx.team_limits().take(Limit::StoredBytes, &context.usual_limits()).await?.is_err();
        let made = if is_full {
            let why = "The team's copies take all the bytes that they may.";
            tx.skip_run(task_id, scheduled_for, &ulid, why).await?
        } else {
            tx.schedule_run(task_id, scheduled_for, &ulid).await?
        };
        match made {
            ScheduledRun::Queued(run) => {
                queue::enqueue(&tx, Job::ExecuteRun(run, 1)).await?;
                if let Some(reason) = passed(&task, scheduled_for, now) {
                    tx.tell_missed(task_id, scheduled_for, reason).await?;
                }
                tracing::info!(task = %task_id, %run, "a due run was queued");
            }
            ScheduledRun::Skipped => tracing::info!(task = %task_id, is_full, "a due run was skipped"),
            ScheduledRun::Exists => {}
        }
    }
    tx.set_next_run(task_id, next_run(&task, now)).await?;
    tx.commit().await
}

/// Further due times that passed before this one could be seen to, in a sentence; none where none did.
fn passed(task: &rows::backup_tasks::Model, due: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    let mut next = due;
    let mut count = 0;
    while count < PASSED_MAX {
        match next_run(task, next) {
            Some(at) if at <= now => next = at,
            _ => break,
        }
        count += 1;
    }
    let many = if count == PASSED_MAX { "or more " } else { "" };
    match count {
        0 => None,
        1 => {
            Some("One due time passed while nothing could run it; the run that begins now makes up for it.".to_owned())
        }
        _ => Some(format!(
            "{count} {many}due times passed while nothing could run them; the run that begins now makes up for all."
        )),
    }
}

/// Whether the team has as many runs as it may have at once: the task stays due until one of them ends. Counted anew under
/// the team's lock, since what found the task counted before it. A task that runs is not put off, but skipped.
async fn is_for_later(context: &WorkerContext, tx: &TeamTx, task: BackupTaskId) -> Result<bool, StoreError> {
    if tx.backup_runs().active_of(task).await?.is_some() {
        return Ok(false);
    }
    Ok(tx.team_limits().take(Limit::RunsAtOnce, &context.usual_limits()).await?.is_err())
}

/// None for a task without schedule, and for one whose schedule cannot be read: it is not due for ever.
fn next_run(task: &rows::backup_tasks::Model, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let columns = ScheduleColumns {
        frequency: &task.frequency,
        time_to_run_at: task.time_to_run_at.as_deref(),
        custom_cron: task.custom_cron.as_deref(),
        timezone: task.timezone.as_deref(),
        weekday: task.weekday,
    };
    match Schedule::from_columns(&columns) {
        Ok(schedule) => schedule.next_after(now),
        Err(problem) => {
            tracing::error!(task = task.id, %problem, "the task's schedule cannot be read");
            None
        }
    }
}
