//! What wakes this worker when something is put on a queue: one connection that listens, for all queues. It comes back by
//! itself when it broke, and wakes everybody then, because what was said meanwhile is lost. Whoever waits here must look
//! from time to time as well: nothing may rely on being woken.

use futures_util::Stream;
use futures_util::stream::poll_fn;
use holdfast_store::{Store, StoreError};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// After a connection could not be made.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Those who wait, by queue.
#[derive(Default)]
pub struct Wakeups {
    sleepers: Mutex<HashMap<&'static str, Vec<mpsc::Sender<()>>>>,
}

impl Wakeups {
    /// Yields after each waking of `queue`; wakings that nobody looked at yet are one.
    pub fn of(&self, queue: &'static str) -> impl Stream<Item = ()> + Send + Sync + Unpin + use<> {
        let (sender, mut receiver) = mpsc::channel(1);
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).entry(queue).or_default().push(sender);
        poll_fn(move |cx| receiver.poll_recv(cx))
    }

    /// Wakes those who wait for `queue`.
    pub fn wake(&self, queue: &str) {
        if let Some(waiting) = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(queue) {
            wake(waiting);
        }
    }

    fn wake_all(&self) {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).values_mut().for_each(wake);
    }

    /// Listens until `stop`.
    pub async fn listen(&self, store: &Store, stop: &CancellationToken) {
        loop {
            let broken = tokio::select! {
                () = stop.cancelled() => return,
                broken = self.hear(store) => broken,
            };
            let Err(error) = broken;
            tracing::warn!(?error, "nothing is heard of new jobs until the database answers; they are looked for");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LISTEN_AGAIN_AFTER) => {}
            }
        }
    }

    async fn hear(&self, store: &Store) -> Result<Infallible, StoreError> {
        let mut listener = store.queue_listener().await?;
        self.wake_all();
        loop {
            match listener.next().await? {
                Some(queue) => self.wake(&queue),
                None => self.wake_all(),
            }
        }
    }
}

fn wake(waiting: &mut Vec<mpsc::Sender<()>>) {
    // Full: it is woken already. Closed: it is gone.
    waiting.retain(|sleeper| !matches!(sleeper.try_send(()), Err(mpsc::error::TrySendError::Closed(()))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    #[test]
    fn wakings_of_one_queue_are_one_until_somebody_looks_and_reach_everybody() {
        let wakeups = Wakeups::default();
        let (mut one, mut other, mut elsewhere) = (wakeups.of("a"), wakeups.of("a"), wakeups.of("b"));
        wakeups.wake("a");
        wakeups.wake("a");
        assert_eq!((one.next().now_or_never(), one.next().now_or_never()), (Some(Some(())), None));
        assert_eq!(other.next().now_or_never(), Some(Some(())));
        assert_eq!(elsewhere.next().now_or_never(), None);
        drop(other);
        wakeups.wake_all();
        assert_eq!(one.next().now_or_never(), Some(Some(())));
        assert_eq!(elsewhere.next().now_or_never(), Some(Some(())));
    }
}
