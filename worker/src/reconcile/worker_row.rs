//! This worker's row: how the api finds it.

use crate::context::WorkerContext;
use holdfast_store::StoreError;
use holdfast_store::repositories::workers::WorkerState;

/// One round.
///
/// # Errors
/// The database failed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let store_ids = context.store_ids();
    context
        .store
        .worker_seen(&WorkerState {
            name: &context.name,
            version: env!("CARGO_PKG_VERSION"),
            data_plane_url: &context.data_plane_url,
            store_ids: &store_ids,
            running: context.running(),
            capacity: i32::try_from(context.config.worker.concurrency).unwrap_or(i32::MAX),
        })
        .await
}
