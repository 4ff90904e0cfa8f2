//! `POST /api/backup-tasks/{id}/pause`

use super::view;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::BackupTaskView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::Changes;
use serde_json::json;

/// Stops the scheduling of a task until it is resumed; a run that is under way goes on. A paused task stays paused.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/pause", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupTaskView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn pause_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupTasks>,
    Id(id): Id<BackupTaskId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<BackupTaskView>>, Problem> {
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    fields.refuse_unknown();
    fields.finish()?;
    if row.paused_at.is_none() {
        // `next_run_at` stays: what was due before this moment is still owed (see resume).
        row.paused_at = Some(now);
        row.updated_at = now;
        row = tx.backup_tasks().save(row).await?;
        let changes = Changes::default().field("is_paused", false, true);
        tx.audit_events().record_change("backup_task.pause", &format!("backup_tasks:{id}"), changes, json!({})).await?;
    }
    let view = view(&tx, row, auth.user_id, now).await?;
    tx.commit().await?;
    Ok(data(view))
}
