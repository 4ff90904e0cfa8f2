//! `POST /api/backup-tasks/{id}/run`

use super::references;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_domain::ids::{BackupRunId, BackupTaskId};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::backup_runs::NewBackupRun;
use holdfast_store::{StoreError, TeamTx, rows};
use rand::Rng;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Destinations of one run at most.
const DESTINATIONS_MAX: usize = 10;

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

/// What a run may name.
#[derive(ToSchema)]
#[schema(as = RunRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// Instead of the task's own.
    backup_destination_ids: Option<Vec<i64>>,
}

/// Starts a run now. Other tasks of the same server do not stand in its way: they queue.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/run", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 202, body = RunStarted), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn run_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupTaskId>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<RunStarted>), Problem> {
    let now = state.now();
    if let Err(refused) = state.runs().take(auth.user_id, now) {
        return Err(Problem::throttled(&refused, "Too many requests. Please try again later."));
    }
    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::RunsAtOnce).await?;
    limits::take(&state, &tx, Limit::StoredBytes).await?;
    let task = found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    let destination_ids = fields.integers("backup_destination_ids", Presence::Optional, DESTINATIONS_MAX);
    fields.finish()?;
    let destination_ids = destination_ids.filter(|ids| !ids.is_empty());
    references::check(&tx, None, destination_ids.as_deref(), true).await?;
    refuse(&tx, &task).await?;
    // 80 random bits: the name of a run's objects cannot be guessed.
    let random: u128 = state.with_rng(Rng::random);
    let at_ms = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    let new = NewBackupRun {
        backup_task_id: id,
        ulid: ulid::Ulid::from_parts(at_ms, random).to_string(),
        trigger: "manual",
        triggered_by: Some(auth.user_id),
        scheduled_for: None,
        destination_ids,
    };
    let run = tx.backup_runs().create_queued(new, now).await.map_err(|error| match error {
        StoreError::Duplicate(_) => Refusal::Running.into(),
        other => Problem::from(other),
    })?;
    queue::enqueue(&tx, Job::ExecuteRun(BackupRunId(run.id), 1)).await?;
    tx.audit_events().record("backup_task.run", &format!("backup_tasks:{id}"), json!({"run": run.id})).await?;
    tx.commit().await?;
    let data = RunStartedData { backup_run_id: run.id };
    Ok((StatusCode::ACCEPTED, Json(RunStarted { message: "Backup task initiated successfully.", data })))
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
