//! What failed copies left at their destinations.

use crate::cleanup;
use crate::context::WorkerContext;
use holdfast_store::{Access, StoreError};

/// Copies of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for (team_id, copy) in context.store.copies_with_leftovers(AT_MOST).await? {
        if cleanup::remove_failed_copy(context, &Access::system(team_id, "copy leftovers"), copy).await? {
            tracing::info!(%copy, "what a failed copy left was removed");
        }
    }
    Ok(())
}
