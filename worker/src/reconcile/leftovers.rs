//! Objects of ended attempts whose worker could not remove them itself.

use crate::cleanup;
use crate::context::WorkerContext;
use holdfast_store::{Access, StoreError};

/// Runs of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for (team_id, run) in context.store.runs_with_leftovers(AT_MOST).await? {
        let removed = cleanup::remove_leftovers(context, &Access::system(team_id, "leftovers"), run).await?;
        if removed > 0 {
            tracing::info!(%run, removed, "unfinished objects were removed");
        }
    }
    Ok(())
}
