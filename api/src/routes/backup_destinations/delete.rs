//! `DELETE /api/backup-destinations/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::routes::cascade::{Cascade, delete_tasks};
use crate::state::ApiState;
use crate::views::Message;
use crate::views::backup_destination::BackupDestinationView;
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_store::Changes;
use serde_json::json;

/// Deletes a destination that no task uses; with `cascade=1` and the ability `cascade-delete`, its tasks too. What
/// lies there stays there and restorable, so its keys are kept.
#[utoipa::path(delete, path = "/api/backup-destinations/{id}", tag = "backup-destinations",
    params(("id" = u64, Path), ("cascade" = Option<u8>, Query, description = "1: delete the tasks that use it too")),
    responses((status = 200, body = Message),
        (status = 204, description = "As 200, to a client that sends no `Accept`."), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_backup_destination(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackupDestinations>,
    Id(id): Id<BackupDestinationId>,
    cascade: Cascade,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<BackupDestinationId, _>(tx.backup_destinations().find_for_update(id).await?)?;
    let tasks = tx.backup_destinations().tasks_using(id).await?;
    cascade.permits(&auth.access, "backup destination", tasks.len())?;
    let now = state.now();
    let details = json!({"tasks": tasks.len()});
    delete_tasks(&tx, tasks, now).await?;
    let changes = Changes::removed(&BackupDestinationView::of(row.clone()));
    row.deleted_at = Some(now);
    row.updated_at = now;
    tx.backup_destinations().save(row).await?;
    let subject = format!("backup_destinations:{id}");
    tx.audit_events().record_change("backup_destination.delete", &subject, changes, details).await?;
    tx.commit().await?;
    Ok(deletion.answer(Message { message: "Backup destination successfully deleted".to_owned() }))
}
