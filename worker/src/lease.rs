//! Keeping what a worker holds, for runs and restores alike.
//!
//! One OS thread with a runtime and a connection of its own renews every lease, so that busy byte threads or a busy pool
//! cannot lose one. When a lease is lost its token is cancelled: all work for it stops at once. While the database
//! cannot be reached work goes on until shortly before the lease would have ended. Nothing here may renew a lease whose
//! epoch is not the claimed one.

use holdfast_config::WorkerConfig;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::lease::{Beat, Claim, LeaseConnection, LeaseDoor};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often a cancellation is looked for between two heartbeats. With it a cancelled run is over in seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long before its end an unrenewed lease is given up, as a part of it.
const MARGIN_PARTS: u32 = 6;

/// Why work must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Another worker has it, or it is over.
    Fenced,
    /// The database could not be reached for so long that another worker may have it.
    DatabaseLost,
    /// Somebody asked for its end.
    Cancelled,
    /// This worker shuts down.
    ShuttingDown,
    /// It took longer than it may.
    TimedOut,
}

/// The keeper's handle.
pub struct Leases {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    held: Mutex<HashMap<Claim, Arc<Held>>>,
    timing: Timing,
    wake: Notify,
    ended: CancellationToken,
}

#[derive(Clone, Copy)]
struct Timing {
    lease: Duration,
    heartbeat: Duration,
}

struct Held {
    stop: CancellationToken,
    reason: OnceLock<StopReason>,
    times: Mutex<Times>,
    deadline: OnceLock<Deadline>,
}

/// When work must be over, whatever it does.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    /// What the user is told.
    limit: Duration,
}

#[derive(Clone, Copy)]
struct Times {
    renewed: Instant,
    next_beat: Instant,
}

impl Held {
    fn stop(&self, reason: StopReason) {
        // The first reason counts; it must be there before anybody wakes up from the token.
        let _first = self.reason.set(reason);
        self.stop.cancel();
    }
}

/// One held claim; given up (not renewed any more) when dropped.
pub struct Lease {
    claim: Claim,
    held: Arc<Held>,
    shared: Arc<Shared>,
}

impl Leases {
    /// Starts the keeper's thread.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(door: LeaseDoor, config: &WorkerConfig) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            held: Mutex::new(HashMap::new()),
            timing: Timing { lease: config.lease, heartbeat: config.heartbeat },
            wake: Notify::new(),
            ended: CancellationToken::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let keeper = Keeper { shared: Arc::clone(&shared), door, connection: None };
        let thread =
            std::thread::Builder::new().name("leases".to_owned()).spawn(move || runtime.block_on(keeper.keep()))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Keeps `claim`, which was just made at `claimed` (an instant before the claiming statement was sent).
    #[must_use]
    pub fn hold(&self, claim: Claim, claimed: Instant) -> Lease {
        let held = Arc::new(Held {
            stop: CancellationToken::new(),
            reason: OnceLock::new(),
            times: Mutex::new(Times { renewed: claimed, next_beat: claimed + self.shared.timing.heartbeat }),
            deadline: OnceLock::new(),
        });
        lock(&self.shared.held).insert(claim, Arc::clone(&held));
        self.shared.wake.notify_one();
        Lease { claim, held, shared: Arc::clone(&self.shared) }
    }

    /// Stops all work that is still in hand.
    pub fn stop_all(&self, reason: StopReason) {
        for held in lock(&self.shared.held).values() {
            held.stop(reason);
        }
    }

    /// Ends the keeper. Leases still held are not renewed any more.
    pub fn end(&self) {
        self.shared.ended.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the lease keeper panicked");
        }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.end();
    }
}

impl Lease {
    /// What is held.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Cancelled when work for this claim must stop.
    #[must_use]
    pub fn stopped(&self) -> &CancellationToken {
        &self.held.stop
    }

    /// Why it must stop, once it must.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        self.held.reason.get().copied()
    }

    /// Stops the work once `left` of its `limit` has passed. The first call counts. The keeper's thread does it, so that
    /// nothing that hangs here can outlive it.
    pub fn end_within(&self, left: Duration, limit: Duration) {
        let _first = self.held.deadline.set(Deadline { at: Instant::now() + left, limit });
        self.shared.wake.notify_one();
    }

    /// What the user is told when work stopped at `step`.
    #[must_use]
    pub fn failure(&self, step: Step) -> Failure {
        match self.reason() {
            Some(StopReason::Cancelled) => Failure::new(step, FailureCode::Cancelled, "The work was stopped."),
            Some(StopReason::ShuttingDown) => Failure::new(step, FailureCode::LeaseLost, "The worker shuts down."),
            Some(StopReason::DatabaseLost) => {
                Failure::new(step, FailureCode::LeaseLost, "The worker could not reach the database.")
            }
            Some(StopReason::TimedOut) => {
                let limit = self.held.deadline.get().map_or(0, |deadline| deadline.limit.as_secs());
                let detail = format!("It took longer than the {limit} s that it may take.");
                Failure::new(step, FailureCode::TimedOut, detail)
            }
            Some(StopReason::Fenced) | None => {
                Failure::new(step, FailureCode::LeaseLost, "The worker was silent for too long.")
            }
        }
    }

    /// Does `work` unless it must stop first; the work's future is then dropped where it stands.
    ///
    /// # Errors
    /// The work's own, or [`Lease::failure`].
    pub async fn guard<T>(&self, step: Step, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.held.stop.cancelled() => Err(self.failure(step)),
            result = work => result,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.shared.held).remove(&self.claim);
    }
}

struct Keeper {
    shared: Arc<Shared>,
    door: LeaseDoor,
    connection: Option<LeaseConnection>,
}

impl Keeper {
    async fn keep(mut self) {
        let ended = self.shared.ended.clone();
        let pause = self.shared.timing.heartbeat.min(LOOK_EVERY);
        while !ended.is_cancelled() {
            self.tick().await;
            let idle = lock(&self.shared.held).is_empty();
            tokio::select! {
                () = ended.cancelled() => {}
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep(pause), if !idle => {}
            }
        }
    }

    /// One look at everything that is held. Bounded in time: a database that hangs must not keep the others waiting
    /// beyond their leases.
    async fn tick(&mut self) {
        let held: Vec<(Claim, Arc<Held>)> =
            lock(&self.shared.held).iter().map(|(claim, held)| (*claim, Arc::clone(held))).collect();
        let limit = self.shared.timing.lease / MARGIN_PARTS;
        for (claim, held) in &held {
            let asked = tokio::time::timeout(limit, self.ask(claim, held)).await;
            if !matches!(asked, Ok(Ok(()))) {
                // Whatever is in flight on it is unknown: begin anew.
                self.connection = None;
                break;
            }
        }
        for (claim, held) in &held {
            if held.deadline.get().is_some_and(|deadline| deadline.at <= Instant::now()) && !held.stop.is_cancelled() {
                tracing::warn!(?claim, "it took longer than it may: stopping the work");
                held.stop(StopReason::TimedOut);
            }
            let renewed = lock(&held.times).renewed;
            if renewed.elapsed() + limit >= self.shared.timing.lease && !held.stop.is_cancelled() {
                tracing::warn!(?claim, "the database was unreachable for too long: giving the work up");
                held.stop(StopReason::DatabaseLost);
            }
        }
    }

    async fn ask(&mut self, claim: &Claim, held: &Held) -> Result<(), holdfast_store::StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            empty => empty.insert(self.door.connect().await?),
        };
        let now = Instant::now();
        let due = lock(&held.times).next_beat <= now;
        let beat = if due {
            connection.beat(claim, self.shared.timing.lease.as_secs_f64()).await?
        } else {
            connection.look(claim).await?
        };
        match beat {
            Beat::Lost => {
                tracing::info!(?claim, "the lease is lost");
                held.stop(StopReason::Fenced);
            }
            Beat::Held { cancel_requested } => {
                if due {
                    *lock(&held.times) = Times { renewed: now, next_beat: now + self.shared.timing.heartbeat };
                }
                if cancel_requested {
                    held.stop(StopReason::Cancelled);
                }
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
