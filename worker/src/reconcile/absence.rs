//! Tasks whose success did not come in time. The api watches too: see [`holdfast_store::absence`].

use crate::context::WorkerContext;
use holdfast_store::StoreError;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    context.store.watch_absence(context.config.absence.grace).await.map(drop)
}
