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
use holdfast_domain::Ability;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::TeamTx;
use serde_json::json;
use utoipa::ToSchema;

/// What goes with the task.
#[derive(ToSchema)]
#[schema(as = BackupTaskDeletion)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// Its backups too, into the recycle bin if its rule knows one; needs `delete-backups`. Those that are held or being
    /// read stay.
    delete_files: Option<bool>,
}

/// Ends the scheduling and cancels an unfinished run. The task's backups stay listed and restorable unless
/// `delete_files` is true.
#[utoipa::path(delete, path = "/api/backup-tasks/{id}", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body = Option<Body>, responses((status = 200, body = Message)))]
pub async fn delete_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackupTasks>,
    Id(id): Id<BackupTaskId>,
    PageBody(mut fields): PageBody,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    let takes_files = fields.boolean("delete_files", Presence::Optional).unwrap_or(false);
    fields.finish()?;
    if takes_files && !auth.access.allows(Ability::DeleteBackups) {
        return Err(Problem::missing_ability(Ability::DeleteBackups));
    }
    let recycle_secs = row.recycle_secs;
    delete_task(&tx, row, state.now()).await?;
    if takes_files {
        delete_files(&tx, id, recycle_secs).await?;
    }
    tx.commit().await?;
    Ok(Json(Message { message: "Backup task successfully deleted".to_owned() }))
}

/// Sends what nobody holds or reads into the bin, or away.
async fn delete_files(tx: &TeamTx, id: BackupTaskId, recycle_secs: i64) -> Result<(), Problem> {
    tx.retention().lock(id).await?;
    let going = tx.retention().copies(id).await?.all_free();
    if recycle_secs > 0 {
        tx.retention().recycle(&going, recycle_secs, true).await?;
    } else {
        tx.retention().delete(&going).await?;
        tx.prunes().request(id, None).await?;
    }
    let details = json!({"copies": going.len(), "recycled": recycle_secs > 0});
    tx.audit_events().record("backup_task.delete_files", &format!("backup_tasks:{id}"), details).await?;
    Ok(())
}
