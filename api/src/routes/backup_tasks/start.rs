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
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Paused => {
                Self::conflict("task_paused", "The backup task is currently paused and cannot be executed.")
            }
            Refusal::Running => Self::conflict("already_running", "The backup task is already running."),
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
/// 409 while the task is paused or runs; the transaction is then over.
pub(in crate::routes) async fn start(
    state: &ApiState,
    tx: &TeamTx,
    task: &rows::backup_tasks::Model,
    how: Start,
) -> Result<BackupRunId, Problem> {
    refuse(tx, task).await?;
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
    };
    let run = tx.backup_runs().create_queued(new, now).await.map_err(|error| match error {
        StoreError::Duplicate(_) => Refusal::Running.into(),
        other => Problem::from(other),
    })?;
    let run_id = BackupRunId(run.id);
    queue::enqueue(tx, Job::ExecuteRun(run_id, 1)).await?;
    let details = json!({"run": run.id, "trigger": how.trigger});
    tx.audit_events().record("backup_task.run", &format!("backup_tasks:{}", task.id), details).await?;
    Ok(run_id)
}

/// 409 while the task is paused or runs. The unique index on unfinished runs has the last word.
async fn refuse(tx: &TeamTx, task: &rows::backup_tasks::Model) -> Result<(), Problem> {
    if task.paused_at.is_some() {
        return Err(Refusal::Paused.into());
    }
    match tx.backup_runs().active_of(BackupTaskId(task.id)).await? {
        Some(_) => Err(Refusal::Running.into()),
        None => Ok(()),
    }
}
