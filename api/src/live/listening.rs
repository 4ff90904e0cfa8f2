//! The process's one connection that hears what changed. It is made again for as long as the process lives.

use holdfast_store::Store;
use holdfast_store::live::Watched;
use std::time::Duration;
use tokio::sync::mpsc;

/// Messages that may wait for the hub; beyond that they wait in the database.
pub(super) const WAITING: usize = 1_024;
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// What the hub is told.
pub(super) enum Told {
    /// This row changed.
    Row(Watched),
    /// Messages may have been lost.
    Anything,
}

/// Listens until nobody wants to be told any more.
pub(super) async fn listen(store: &Store, telling: mpsc::Sender<Told>) {
    loop {
        match store.live_listener().await {
            Ok(mut listener) => {
                // Only once it listens: what is read from then on and what it hears leave no gap.
                if telling.send(Told::Anything).await.is_err() {
                    return;
                }
                while let Ok(Some(row)) = listener.next().await {
                    if telling.send(Told::Row(row)).await.is_err() {
                        return;
                    }
                }
                tracing::warn!("the connection that hears of changes is lost");
            }
            Err(error) => tracing::warn!(?error, "changes of live rows are not heard"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
