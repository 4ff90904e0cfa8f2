//! Rows that nobody needs any more: used tickets, old deliveries, idempotency keys whose time is over, dead workers, the
//! queue's finished jobs.

use crate::context::WorkerContext;
use holdfast_store::StoreError;

/// How long a message can be looked at.
const DELIVERY_DAYS: i32 = 90;

/// One round.
///
/// # Errors
/// The database failed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let tickets = context.store.purge_tickets().await?;
    if tickets > 0 {
        tracing::debug!(tickets, "old tickets were forgotten");
    }
    context.store.purge_account_rows().await?;
    context.store.purge_deliveries(DELIVERY_DAYS).await?;
    let keys = context.store.purge_idempotency_keys().await?;
    if keys > 0 {
        tracing::debug!(keys, "old idempotency keys were forgotten");
    }
    context.store.purge_workers_and_jobs().await
}
