//! Copies whose time in the recycle bin is over. What a rule put there goes only while a newer verified copy is outside the
//! bin; else it stays and is looked at again later.

use crate::context::WorkerContext;
use holdfast_store::{Access, StoreError};
use serde_json::json;

/// Tasks of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for (team_id, task) in context.store.tasks_with_expired_copies(AT_MOST).await? {
        let tx = context.store.for_team(&Access::system(team_id, "recycle bin")).await?;
        let is_over = |found: &holdfast_store::repositories::retention::TaskCopy, now| {
            found.expires_at.is_some_and(|at| at <= now)
        };
        let applied = tx.retention().apply_bin(task, is_over).await?;
        if applied.deleted > 0 {
            let details = json!({"deleted": applied.deleted});
            tx.audit_events().record("recycle_bin.expire", &format!("backup_tasks:{task}"), details).await?;
            tx.prunes().request(task, None).await?;
            tracing::info!(%task, copies = applied.deleted, "copies leave the recycle bin");
        }
        tx.commit().await?;
    }
    Ok(())
}
