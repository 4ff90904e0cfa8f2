//! Prunes that nobody works on: put on the queue again. With this whatever a killed worker left half deleted goes, and a
//! store that was offline is cleared when it is back.

use super::stray_runs::{QUEUED_SECS, bucket};
use crate::context::WorkerContext;
use holdfast_store::queue::{self, Job};
use holdfast_store::{Access, StoreError};

/// Prunes of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let store_ids: Vec<String> = context.local_root.iter().map(|root| root.store_id().to_string()).collect();
    for (team_id, task) in context.store.stray_prunes(store_ids, QUEUED_SECS, AT_MOST).await? {
        let tx = context.store.for_team(&Access::system(team_id, "stray prunes")).await?;
        // The request's own number is that of the row; a nudge has a key of its own.
        queue::nudge(&tx, Job::PruneTask(task, 0), bucket(context)).await?;
        tx.commit().await?;
    }
    Ok(())
}
