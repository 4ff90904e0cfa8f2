//! The watch over absence in the api's process: with every worker dead, that nothing is backed up is still noticed and
//! written down. It must not need anything of a worker, nor end because one round failed.

use holdfast_config::AbsenceConfig;
use holdfast_store::Store;
use tokio_util::sync::CancellationToken;

/// Looks at once and then again and again, until one of `stops`.
pub(crate) async fn run(store: Store, absence: AbsenceConfig, stops: [CancellationToken; 2]) {
    let [soft, hard] = stops;
    let watching = async {
        loop {
            if let Err(error) = store.watch_absence(absence.grace).await {
                tracing::warn!(?error, "a look for overdue tasks failed");
            }
            tokio::time::sleep(absence.watch_interval).await;
        }
    };
    tokio::select! {
        () = soft.cancelled() => {}
        () = hard.cancelled() => {}
        () = watching => {}
    }
}
