//! `POST /api/backup-tasks/{id}/resume`
//!
//! A due time makes one run at most, whatever happens here: `(task, due time)` is unique among the runs.

use super::plan::Timing;
use super::{expect, view};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_task::BackupTaskView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::{Changes, rows};
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
    if let Some(paused_at) = row.paused_at {
        if row.encryption_mode == "password" && row.sealed_encryption_password.is_none() {
            let message = "Enter the encryption password of this copied task first: it did not travel with the copy.";
            return Err(Problem::conflict("secret_missing", message));
        }
        row.next_run_at = next_run(&row, paused_at, now);
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

/// A time that was due before the pause and that no scheduler had taken yet is still owed; else the next one from now.
fn next_run(row: &rows::backup_tasks::Model, paused_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    row.next_run_at.filter(|due| *due <= paused_at).or_else(|| Timing::stored(row).next_after(now))
}
