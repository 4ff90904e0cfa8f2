//! This worker's row: how the api finds it.

use crate::context::{WorkerContext, host_name};
use holdfast_store::StoreError;
use holdfast_store::repositories::workers::WorkerState;

/// One round.
///
/// # Errors
/// The database failed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let (store_ids, host) = (context.store_ids(), host_name());
    context
        .store
        .worker_seen(&WorkerState {
            name: &context.name,
            version: env!("CARGO_PKG_VERSION"),
            data_plane_url: &context.data_plane_url,
            store_ids: &store_ids,
            running: context.running(),
            capacity: i32::try_from(context.config.worker.concurrency).unwrap_or(i32::MAX),
            host: &host,
            load_1m: load_1m(),
        })
        .await
}

/// Linux tells it in a file; elsewhere nobody does.
fn load_1m() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
