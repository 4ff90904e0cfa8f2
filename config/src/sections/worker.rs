//! `worker`: leases, retries and how much is done at once.

use crate::reader::Reader;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// Runs and restores at once.
    pub concurrency: u32,
    /// A worker that was not heard of for so long has lost its run.
    pub lease: Duration,
    /// How often a worker says that it lives.
    pub heartbeat: Duration,
    /// Attempts of one run at most.
    pub max_attempts: u32,
    /// How long to wait after the first, second, … failed attempt; the last one goes on for later ones.
    pub retry_delays: Vec<Duration>,
    /// How often stray runs, due tasks and leftovers are looked for.
    pub reconcile_interval: Duration,
    /// How long running work may go on after the first Ctrl-C.
    pub drain_timeout: Duration,
    /// How long a run may take, all its attempts together; a task may set less.
    pub max_run: Duration,
    /// A source that sends nothing for so long has stalled.
    pub stall: Duration,
}

impl WorkerConfig {
    /// How long to wait before the next attempt when `attempts` (1, 2, …) have failed.
    #[must_use]
    pub fn retry_delay(&self, attempts: u32) -> Duration {
        let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        self.retry_delays.get(at).or(self.retry_delays.last()).copied().unwrap_or_default()
    }

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = Duration::from_secs_f64;
        let concurrency = reader.within("worker.concurrency", 1..=256);
        let lease = reader.within("worker.lease_secs", secs(1.0)..=secs(3600.0));
        let heartbeat = reader.within("worker.heartbeat_secs", secs(0.1)..=secs(600.0));
        let max_attempts = reader.within("worker.max_attempts", 1..=20);
        let retry_delays = reader.required::<Vec<Duration>>("worker.retry_delays_secs");
        let reconcile_interval = reader.within("worker.reconcile_interval_secs", secs(0.1)..=secs(300.0));
        let drain_timeout = reader.within("worker.drain_timeout_secs", secs(0.0)..=secs(86_400.0));
        let max_run = reader.within("worker.max_run_secs", secs(1.0)..=secs(2_592_000.0));
        let stall = reader.within("worker.stall_secs", secs(1.0)..=secs(86_400.0));
        if let (Some(lease), Some(heartbeat)) = (lease, heartbeat)
            && heartbeat * 3 > lease
        {
            let most = lease.as_secs_f64() / 3.0;
            reader.conflict(
                "worker.heartbeat_secs",
                format!("is more than a third of `worker.lease_secs`: one late heartbeat would lose the run; at most {most:.1}"),
            );
        }
        let has_long = |delays: &Vec<Duration>| delays.iter().any(|delay| *delay > secs(86_400.0));
        if retry_delays.as_ref().is_some_and(|delays| delays.is_empty() || has_long(delays)) {
            reader.conflict("worker.retry_delays_secs", "must have at least one value, each at most 86400");
        }
        Some(Self {
            concurrency: concurrency?,
            lease: lease?,
            heartbeat: heartbeat?,
            max_attempts: max_attempts?,
            retry_delays: retry_delays?,
            reconcile_interval: reconcile_interval?,
            drain_timeout: drain_timeout?,
            max_run: max_run?,
            stall: stall?,
        })
    }
}
