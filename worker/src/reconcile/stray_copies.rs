//! Copies in the making that nobody works on nor will: they are ended. Workers take up the others by themselves.

use super::stray_runs::ending;
use crate::context::WorkerContext;
use holdfast_store::{Access, StoreError};

/// Strays of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for stray in context.store.copies_to_end(context.max_attempts(), AT_MOST).await? {
        let tx = context.store.for_team(&Access::system(stray.team_id, "stray copies")).await?;
        let (_, failure) = ending(stray.verdict);
        if tx.copy_execution(stray.id, stray.epoch).end_stray(&failure).await? {
            tracing::warn!(copy = %stray.id, "a stray copy was ended: {failure}");
        }
        tx.commit().await?;
    }
    Ok(())
}
