//! `POST /api/backup-tasks/{id}/run`

use super::references::References;
use super::start::{RunStarted, Start, lock, start};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::BackupTaskId;
use utoipa::ToSchema;

/// Destinations of one run at most.
const DESTINATIONS_MAX: usize = 10;

/// What a run may name.
#[derive(ToSchema)]
#[schema(as = RunRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// Instead of the task's own.
    backup_destination_ids: Option<Vec<i64>>,
}

/// Starts a run now. Other tasks of the same server do not stand in its way: they queue. What an unfinished run of the same
/// task means, its `on_overlap` says.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/run", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 202, body = RunStarted), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn run_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupTaskId>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<RunStarted>), Problem> {
    if let Err(refused) = state.runs().take(auth.user_id, state.now()) {
        return Err(Problem::throttled(&refused, "Too many requests. Please try again later."));
    }
    let tx = state.store().for_team(&auth.access).await?;
    let task = found::<BackupTaskId, _>(lock(&state, &tx, id).await?)?;
    let destination_ids = fields.integers("backup_destination_ids", Presence::Optional, DESTINATIONS_MAX);
    fields.finish()?;
    let destination_ids = destination_ids.filter(|ids| !ids.is_empty());
    let named = References { destinations: destination_ids.as_deref(), is_list: true, ..References::default() };
    named.check(&tx).await?;
    let how = Start { trigger: "manual", triggered_by: Some(auth.user_id), destination_ids, retry_of: None };
    let run = start(&state, &tx, &task, how).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(RunStarted::of(run))))
}
