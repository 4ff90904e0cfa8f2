//! What every job, reconciler and request of a worker is given. Time and randomness are in it, so that tests bring
//! their own. No secret may be kept here: the opener opens them where they are used, and they go with their user.

use crate::faults::FaultPoints;
use crate::lease::Leases;
use crate::notifying::notifier;
use crate::own_database::OwnDatabase;
use crate::scripts::TestPlaces;
use chrono::{DateTime, Utc};
use holdfast_config::Config;
use holdfast_destinations::{LocalRoot, Outside};
use holdfast_domain::{Limit, TeamLimits};
use holdfast_egress::{EgressGuard, GuardedHttp};
use holdfast_notify::Notifier;
use holdfast_store::Store;
use holdfast_store::taking::Taker;
use holdfast_vault::Opener;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Wall-clock time, for names and what people read. What decides (leases, due times) is the database's clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Where randomness comes from.
pub trait Random: Send + Sync {
    /// 64 random bits.
    fn bits(&self) -> u64;
}

/// The operating system's.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn bits(&self) -> u64 {
        rand::random()
    }
}

/// What a worker is made of.
pub struct WorkerParts {
    /// The database.
    pub store: Store,
    /// Opens the teams' secrets.
    pub opener: Opener,
    /// In front of every address that a team chose.
    pub egress: EgressGuard,
    /// The operator's settings.
    pub config: Config,
    /// Where destinations of type `local` are, if this worker holds such a store.
    pub local_root: Option<LocalRoot>,
    /// Unique to this start of the process: see [`worker_name`].
    pub name: String,
    /// Where the api reaches this worker's data plane.
    pub data_plane_url: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where tests stop it; [`FaultPoints::none`] otherwise.
    pub faults: FaultPoints,
    /// What copies the product's own database, where this worker may.
    pub own_database: Option<Arc<dyn OwnDatabase>>,
}

/// One worker, shared by everything that runs in it.
pub struct WorkerContext {
    /// The database.
    pub store: Store,
    /// Opens the teams' secrets.
    pub opener: Opener,
    /// In front of every address that a team chose.
    pub egress: EgressGuard,
    /// What destinations that are reached over HTTP are given.
    pub outside: Outside,
    /// The way to tell people.
    pub notifier: Notifier,
    /// The operator's settings.
    pub config: Config,
    /// Where destinations of type `local` are, if this worker holds such a store.
    pub local_root: Option<LocalRoot>,
    /// Unique to this start of the process.
    pub name: String,
    /// Where the api reaches this worker's data plane.
    pub data_plane_url: String,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Where tests stop it.
    pub faults: FaultPoints,
    /// What copies the product's own database, where this worker may.
    pub own_database: Option<Arc<dyn OwnDatabase>>,
    /// What it holds.
    pub leases: Leases,
    /// How many scripts are tried at once.
    pub script_tests: TestPlaces,
    running: AtomicI32,
}

impl WorkerContext {
    /// Starts the lease keeper's thread and puts everything together.
    ///
    /// # Errors
    /// The thread could not be started, the system's certificates not be read, or a file that the settings name.
    pub fn new(parts: WorkerParts) -> std::io::Result<Self> {
        let leases = Leases::start(parts.store.lease_door(), &parts.config.worker)?;
        let (clock, random) = (parts.clock.clone(), parts.random.clone());
        let outside = Outside {
            http: GuardedHttp::new(parts.egress.clone()).map_err(std::io::Error::other)?,
            now: Arc::new(move || clock.now()),
            random: Arc::new(move || random.bits()),
        };
        let clock = parts.clock.clone();
        let notifier = notifier(&parts.config, parts.egress.clone(), Arc::new(move || clock.now()))?;
        Ok(Self {
            notifier,
            store: parts.store,
            opener: parts.opener,
            egress: parts.egress,
            outside,
            config: parts.config,
            local_root: parts.local_root,
            name: parts.name,
            data_plane_url: parts.data_plane_url,
            clock: parts.clock,
            random: parts.random,
            faults: parts.faults,
            own_database: parts.own_database,
            leases,
            script_tests: TestPlaces::default(),
            running: AtomicI32::new(0),
        })
    }

    /// Attempts that a run or restore may have.
    #[must_use]
    pub fn max_attempts(&self) -> i32 {
        i32::try_from(self.config.worker.max_attempts).unwrap_or(i32::MAX)
    }

    /// The local stores that it holds: one, or none.
    #[must_use]
    pub fn store_ids(&self) -> Vec<String> {
        self.local_root.iter().map(|root| root.store_id().to_string()).collect()
    }

    /// Who takes the runs and copies that this worker executes; `store_ids` are [`WorkerContext::store_ids`].
    #[must_use]
    pub fn taker<'a>(&'a self, store_ids: &'a [String]) -> Taker<'a> {
        Taker {
            name: &self.name,
            store_ids,
            lease_secs: self.config.worker.lease.as_secs_f64(),
            max_attempts: self.max_attempts(),
            usual_runs_at_once: self.usual_limit(Limit::RunsAtOnce),
        }
    }

    /// What a team may have that has no limits of its own.
    #[must_use]
    pub fn usual_limits(&self) -> TeamLimits {
        TeamLimits::from_pairs(self.config.limits.pairs())
    }

    /// One of [`WorkerContext::usual_limits`]; 0 = no limit.
    #[must_use]
    pub fn usual_limit(&self, limit: Limit) -> i64 {
        let number = self.usual_limits().of(limit).unwrap_or(0);
        i64::try_from(number).unwrap_or(i64::MAX)
    }

    /// Jobs in hand, for the worker's row.
    #[must_use]
    pub fn running(&self) -> i32 {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts a job in hand until the returned value is dropped.
    #[must_use]
    pub fn count_running(self: &Arc<Self>) -> RunningJob {
        self.running.fetch_add(1, Ordering::Relaxed);
        RunningJob(Arc::clone(self))
    }

    /// Seconds before the attempt after `attempt`, with up to a tenth added at random, so that runs which failed
    /// together do not come back together.
    #[must_use]
    pub fn retry_delay_secs(&self, attempt: i32) -> f64 {
        let delay = self.config.worker.retry_delay(attempt.unsigned_abs()).as_secs_f64();
        let part = f64::from(u32::try_from(self.random.bits() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        delay * (1.0 + part / 10.0)
    }
}

/// A job in hand.
pub struct RunningJob(Arc<WorkerContext>);

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The machine's name, as far as it is plain.
#[must_use]
pub fn host_name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).take(60).collect()
}

/// A name that no other start of a process has: a restart under the old name would keep the dead one's jobs alive in
/// the queue library's eyes.
#[must_use]
pub fn worker_name(clock: &dyn Clock, random: &dyn Random) -> String {
    let host = host_name();
    let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
    let bits = u128::from(random.bits()) << 64 | u128::from(random.bits());
    format!("{host}-{}-{}", std::process::id(), ulid::Ulid::from_parts(millis, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_starts_of_one_process_have_two_names() {
        assert_ne!(worker_name(&SystemClock, &SystemRandom), worker_name(&SystemClock, &SystemRandom));
    }
}
