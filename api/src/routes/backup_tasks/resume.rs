//! `POST /api/backup-tasks/{id}/resume`

use super::{expect, view};
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
use holdfast_store::repositories::task_timing::{TaskTiming, reschedule};
use serde_json::json;

/// Schedules a paused task again, from now on: the due times that passed while it was paused are not made up for. A task
/// that is not paused stays as it is.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/resume", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupTaskView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn resume_backup_task(
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
    if row.paused_at.is_some() {
        if row.encryption_mode == "password" && row.sealed_encryption_password.is_none() {
            let message = "Enter the encryption password of this copied task first: it did not travel with the copy.";
            return Err(Problem::conflict("secret_missing", message));
        }
        let timing = TaskTiming::of(&row);
        reschedule(&mut row, timing, now);
        row.paused_at = None;
        row.updated_at = now;
        row = tx.backup_tasks().save(row).await?;
        expect(&state, &tx, &mut row).await?;
        let changes = Changes::default().field("is_paused", true, false);
        tx.audit_events()
            .record_change("backup_task.resume", &format!("backup_tasks:{id}"), changes, json!({}))
            .await?;
    }
    let view = view(&tx, row, auth.user_id, now).await?;
    tx.commit().await?;
    Ok(data(view))
}
