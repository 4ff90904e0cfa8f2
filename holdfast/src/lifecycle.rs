//! When a process has to end. The first signal (or the end of the parent) asks for draining, the second for stopping
//! now; roles watch the two tokens and leave nothing half-written.

use anyhow::{Context, Result};
use std::future::Future;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// In the environment of a supervised child: the process whose end is also its own.
pub const PARENT_ENV: &str = "HOLDFAST_PARENT_PID";

/// The two steps of an end.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Take nothing new, finish what runs.
    pub soft: CancellationToken,
    /// Stop now.
    pub hard: CancellationToken,
}

impl Lifecycle {
    /// Runs `work` while signals are watched; `work` decides when it is over.
    ///
    /// # Errors
    /// Those of `work`, or signals cannot be watched.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let interrupt = signal(SignalKind::interrupt()).context("watching for Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
        tokio::select! {
            outcome = work => outcome,
            never = self.watch_signals(interrupt, terminate) => match never {},
        }
    }

    /// Ends this process when its supervisor ends, however that happens: nobody would stop it otherwise.
    ///
    /// # Errors
    /// The supervisor is gone already.
    pub fn end_with_parent(&self, parent: Option<i32>) -> Result<()> {
        let Some(parent) = parent else { return Ok(()) };
        let is_ours = move || rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent);
        anyhow::ensure!(is_ours(), "the supervisor is gone");
        let (soft, hard) = (self.soft.clone(), self.hard.clone());
        // A thread, not a task: it must also work when the runtime is stuck, which is when it is needed most.
        std::thread::Builder::new()
            .name("parent-watch".to_owned())
            .spawn(move || {
                while is_ours() {
                    std::thread::sleep(PARENT_POLL);
                }
                soft.cancel();
                hard.cancel();
                std::thread::sleep(ORPHAN_GRACE);
                std::process::exit(1);
            })
            .context("watching the supervisor")?;
        Ok(())
    }

    async fn watch_signals(&self, mut interrupt: Signal, mut terminate: Signal) -> std::convert::Infallible {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if self.soft.is_cancelled() {
                tracing::warn!("stopping now");
                self.hard.cancel();
            } else {
                tracing::info!("finishing what runs; once more stops now");
                self.soft.cancel();
            }
        }
    }
}

/// Between two looks at the supervisor: an orphan lives at most so long before it stops.
const PARENT_POLL: std::time::Duration = std::time::Duration::from_millis(250);
/// What an orphan may take to tell its peers to stop.
const ORPHAN_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// The supervisor named in the environment.
pub fn parent_from_env() -> Option<i32> {
    std::env::var(PARENT_ENV).ok()?.parse().ok()
}
