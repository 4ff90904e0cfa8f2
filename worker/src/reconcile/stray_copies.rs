//! Copies in the making that nobody works on: put on the queue again, or ended.

use super::stray_runs::{QUEUED_SECS, bucket, ending};
use crate::context::WorkerContext;
use holdfast_store::queue::{self, Job};
use holdfast_store::system_runs::{StrayRule, Verdict};
use holdfast_store::{Access, StoreError};

/// Strays of one round.
const AT_MOST: i32 = 100;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let rule = StrayRule { max_attempts: context.max_attempts(), queued_secs: QUEUED_SECS, at_most: AT_MOST };
    for stray in context.store.stray_copies(rule).await? {
        let tx = context.store.for_team(&Access::system(stray.team_id, "stray copies")).await?;
        match stray.verdict {
            Verdict::Nudge => queue::nudge(&tx, Job::CopyBackup(stray.id, stray.epoch + 1), bucket(context)).await?,
            Verdict::Abandon | Verdict::Cancel => {
                let (_, failure) = ending(stray.verdict);
                if tx.copy_execution(stray.id, stray.epoch).end_stray(&failure).await? {
                    tracing::warn!(copy = %stray.id, "a stray copy was ended: {failure}");
                }
            }
        }
        tx.commit().await?;
    }
    Ok(())
}
