//! Starting a run, whoever asks: a person, or whoever knows the secret of a task's webhook.

use crate::limits;
use crate::problem::Problem;
use crate::state::ApiState;
use holdfast_domain::Limit;
use holdfast_domain::ids::{BackupRunId, BackupTaskId, UserId};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::backup_runs::NewBackupRun;
use holdfast_store::{StoreError, TeamTx, rows};
use rand::Rng;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Why a run does not start.
enum Refusal {
    Paused,
    Running,
    Queued,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Paused => {
                Self::conflict("task_paused", "The backup task is currently paused and cannot be executed.")
            }
            Refusal::Running => Self::conflict("already_running", "The backup task is already running."),
            Refusal::Queued => {
                Self::conflict("already_queued", "The backup task is running, and a run is queued behind it already.")
            }
        }
    }
}

/// The run was accepted.
#[derive(Serialize, ToSchema)]
pub struct RunStarted {
    message: &'static str,
    data: RunStartedData,
}

#[derive(Serialize, ToSchema)]
struct RunStartedData {
    backup_run_id: i64,
}

impl RunStarted {
    /// The answer for `run`.
    #[must_use]
    pub fn of(run: BackupRunId) -> Self {
        Self { message: "Backup task initiated successfully.", data: RunStartedData { backup_run_id: run.0 } }
    }
}

/// Who starts it, and with what.
pub(in crate::routes) struct Start {
    /// `manual`, `webhook`.
    pub trigger: &'static str,
    /// The person behind a manual one.
    pub triggered_by: Option<UserId>,
    /// Instead of the task's own.
    pub destination_ids: Option<Vec<i64>>,
    /// The run that this one tries again.
    pub retry_of: Option<BackupRunId>,
}

/// What becomes of the run.
enum Place {
    First,
    /// Queued behind the unfinished run.
    Behind,
    Skipped,
}

/// The task, locked, once the team may start one more run; none where there is no such task.
///
/// # Errors
/// 409 `limit_reached`.
pub(in crate::routes) async fn lock(
    state: &ApiState,
    tx: &TeamTx,
    id: BackupTaskId,
) -> Result<Option<rows::backup_tasks::Model>, Problem> {
    limits::take(state, tx, Limit::RunsAtOnce).await?;
    limits::take(state, tx, Limit::StoredBytes).await?;
    Ok(tx.backup_tasks().find_for_update(id).await?)
}

/// Queues a run of a locked task, its job and its audit event.
///
/// # Errors
/// 409 while the task is paused, or runs and says `on_overlap: refuse`; the transaction is then over.
pub(in crate::routes) async fn start(
    state: &ApiState,
    tx: &TeamTx,
    task: &rows::backup_tasks::Model,
    how: Start,
) -> Result<BackupRunId, Problem> {
    let place = place(tx, task).await?;
    let now = state.now();
    // 80 random bits: the name of a run's objects cannot be guessed.
    let random: u128 = state.with_rng(Rng::random);
    let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    let new = NewBackupRun {
        backup_task_id: BackupTaskId(task.id),
        ulid: ulid::Ulid::from_parts(at_ms, random).to_string(),
        trigger: how.trigger,
        triggered_by: how.triggered_by,
        scheduled_for: None,
        destination_ids: how.destination_ids,
        is_behind: matches!(place, Place::Behind),
        retry_of: how.retry_of,
    };
    let made = match place {
        Place::Skipped => tx.backup_runs().create_skipped(new, now).await,
        Place::First | Place::Behind => tx.backup_runs().create_queued(new, now).await,
    };
    let run = made.map_err(|error| match error {
        StoreError::Duplicate(_) => Refusal::Running.into(),
        other => Problem::from(other),
    })?;
    let run_id = BackupRunId(run.id);
    if !matches!(place, Place::Skipped) {
        queue::enqueue(tx, Job::ExecuteRun(run_id, 1)).await?;
    }
    let details = match how.retry_of {
        Some(failed) => json!({"run": run.id, "trigger": how.trigger, "retry_of": failed}),
        None => json!({"run": run.id, "trigger": how.trigger}),
    };
    tx.audit_events().record("backup_task.run", &format!("backup_tasks:{}", task.id), details).await?;
    Ok(run_id)
}

/// Where a run of the task goes. 409 while the task is paused, or where it may not overlap. The unique indexes on
/// unfinished runs have the last word.
async fn place(tx: &TeamTx, task: &rows::backup_tasks::Model) -> Result<Place, Problem> {
    if task.paused_at.is_some() {
        return Err(Refusal::Paused.into());
    }
    let unfinished = tx.backup_runs().unfinished_of(BackupTaskId(task.id)).await?;
    match (unfinished.as_slice(), task.on_overlap.as_str()) {
        ([], _) => Ok(Place::First),
        (_, "skip") => Ok(Place::Skipped),
        ([_], "queue") => Ok(Place::Behind),
        (_, "queue") => Err(Refusal::Queued.into()),
        _ => Err(Refusal::Running.into()),
    }
}
