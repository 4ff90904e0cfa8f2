//! One loop for each kind of work that Postgres hands out: as long as there is a free place the next piece is taken, so
//! that a place that becomes free is used at once, and whoever hears of a job first takes nothing from anybody. Nothing
//! here may depend on a job being delivered, nor on being woken.

use crate::register::Jobs;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use holdfast_store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What is due later, and what nobody was woken for, is found so long after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A claim that is under way at the stop may take so long; then the database is away.
const CLAIM_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// A claimed piece of work.
pub(crate) type Work = BoxFuture<'static, ()>;

/// Takes work with `take`, so much of it at once as there are `places`, until `stop`. What wakes it is the queue of the
/// same work. A claim that was begun is not cut off by the stop: what it won would wait for its lease to end.
pub(crate) async fn keep_taking<Taken>(
    jobs: &Jobs,
    queue: &'static str,
    places: usize,
    take: impl Fn() -> Taken,
    stop: &CancellationToken,
) where
    Taken: Future<Output = Result<Option<Work>, StoreError>>,
{
    let places = Arc::new(Semaphore::new(places));
    let mut woken = jobs.wakeups.of(queue);
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { return };
        let taken = tokio::select! {
            taken = take() => taken,
            () = too_late(stop) => return,
        };
        match taken {
            Ok(Some(work)) => {
                jobs.begin(work, place);
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(queue, ?error, "nothing could be taken"),
        }
        drop(place);
        tokio::select! {
            () = stop.cancelled() => return,
            _ = woken.next() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

async fn too_late(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(CLAIM_ENDS_WITHIN).await;
}
