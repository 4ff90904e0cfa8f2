//! Wrong passwords on their way into the audit log (see `m…_000022_login_failures.sql`).

use crate::context::WorkerContext;
use holdfast_store::StoreError;

/// Of one round: more than every api process together lets anybody try in that time.
const AT_MOST: i32 = 5_000;

/// One round.
///
/// # Errors
/// The database failed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let failures = context.store.record_login_failures(AT_MOST).await?;
    if failures > 0 {
        tracing::info!(failures, "wrong passwords were recorded");
    }
    Ok(())
}
