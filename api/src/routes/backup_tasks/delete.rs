//! `DELETE /api/backup-tasks/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::Problem;
use crate::routes::cascade::delete_task;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;

/// Ends the scheduling and cancels an unfinished run. The task's backups stay listed and restorable.
#[utoipa::path(delete, path = "/api/backup-tasks/{id}", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Message)))]
pub async fn delete_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackupTasks>,
    Id(id): Id<BackupTaskId>,
    PageBody(mut fields): PageBody,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    // To say "deleted" while the files stay would be a lie to someone who asked for them to go.
    if fields.boolean("delete_files", Presence::Optional) == Some(true) {
        fields.fail_invalid("delete_files", &"the files of a deleted task are kept here");
    }
    fields.finish()?;
    delete_task(&tx, row, state.now()).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Backup task successfully deleted".to_owned() }))
}
