//! `DELETE /api/backup-tasks/{id}/webhook`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::Changes;
use serde_json::json;

/// Takes the secret away: nobody can start the task from outside any more.
#[utoipa::path(delete, path = "/api/backup-tasks/{id}/webhook", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Message)))]
pub async fn delete_webhook(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupTasks>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    let Some(row) = tx.task_webhooks().find(id).await? else { return Err(Problem::not_found("Webhook")) };
    tx.task_webhooks().remove(id).await?;
    let changes = Changes::default().secret("webhook_secret", Some(&row.secret_hash), None);
    tx.audit_events()
        .record_change("backup_task.remove_webhook", &format!("backup_tasks:{id}"), changes, json!({}))
        .await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Webhook successfully deleted".to_owned() }))
}
