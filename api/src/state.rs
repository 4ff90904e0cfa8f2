//! What every handler may use. Holds no key that opens a tenant's secret, and no client that could reach an address a
//! tenant chose.

use crate::accounts::AccountSettings;
use crate::accounts::guessing::Guessing;
use crate::links::Origin;
use crate::live::{Hub, Live, StreamLimits};
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::relay::Relay;
use crate::stream_rules::StreamRules;
use crate::throttle::Throttle;
use chrono::{DateTime, Utc};
use holdfast_domain::TeamLimits;
use holdfast_domain::ids::{BackupTaskId, UserId};
use holdfast_store::Store;
use holdfast_vault::{LoginKey, Sealer};
use ipnet::IpNet;
use rand::rngs::StdRng;
use secrecy::SecretString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Password hashes at once: each takes 19 MiB and tens of milliseconds.
const HASHES_AT_ONCE: usize = 4;
/// Refusals of one person that the audit log keeps a minute: it must not be filled by trying.
const REFUSALS_PER_MIN: u32 = 10;
/// Calls of one task's webhook a minute, and wrong secrets for one id.
const WEBHOOKS_PER_MIN: u32 = 10;

/// The present; a parameter, so that tests choose it.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What the api needs from outside.
pub struct ApiParts {
    /// The database.
    pub store: Store,
    /// The way to a worker.
    pub relay: Relay,
    /// For absolute links.
    pub origin: Origin,
    /// For absolute links of the operator's listener.
    pub operator_origin: Origin,
    /// What a reader of `/metrics` must know; none = nothing.
    pub metrics_token: Option<SecretString>,
    /// `operator.metrics_tasks`.
    pub metrics_tasks: u32,
    /// The migration that the program needs; none = it does not say.
    pub needed_migration: Option<String>,
    /// `http.rate_limit_per_min`; 0 = no limits at all.
    pub rate_limit_per_min: u32,
    /// `http.session_rate_limit_per_min`; 0 = no limit.
    pub session_rate_limit_per_min: u32,
    /// `http.run_rate_limit_per_min`; 0 = no limit.
    pub run_rate_limit_per_min: u32,
    /// `http.login_rate_limit_per_min`: tries of a secret.
    pub login_rate_limit_per_min: u32,
    /// `http.webhook_secret_in_query`.
    pub webhook_secret_in_query: bool,
    /// `accounts`.
    pub accounts: AccountSettings,
    /// Opens two-factor secrets; without it there is no second factor.
    pub login_key: Option<LoginKey>,
    /// `limits`: what a team may have by default.
    pub team_limits: TeamLimits,
    /// `notify.allow_…`: what notification streams may be.
    pub stream_rules: StreamRules,
    /// `http.trusted_proxies`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `absence.grace_secs`.
    pub absence_grace: Duration,
    /// `schedule.min_interval_secs`.
    pub min_interval: Duration,
    /// `http.max_body_bytes`.
    pub max_body_bytes: usize,
    /// `http.request_timeout_secs`: until an answer begins.
    pub request_timeout: Duration,
    /// `http.event_streams…`.
    pub event_streams: StreamLimits,
    /// The present.
    pub clock: Clock,
    /// Randomness for seals, names and tokens.
    pub rng: StdRng,
}

/// Where a request arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Everybody's.
    Public,
    /// Of those who run the installation.
    Operator,
}

/// Shared by all requests of one listener; all but what it is called by those of both.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>, Listener);

struct Inner {
    store: Store,
    relay: Relay,
    origin: Origin,
    operator_origin: Origin,
    metrics_token: Option<SecretString>,
    metrics_tasks: u32,
    needed_migration: Option<String>,
    metrics: Arc<Metrics>,
    live: Live,
    clock: Clock,
    rng: Mutex<StdRng>,
    requests: Throttle<UserId>,
    session_requests: Throttle<UserId>,
    accounts: AccountSettings,
    runs: Throttle<UserId>,
    guessing: Guessing,
    login_key: Option<LoginKey>,
    refusals: Throttle<UserId>,
    webhooks: Throttle<BackupTaskId>,
    webhook_guesses: Throttle<BackupTaskId>,
    webhook_secret_in_query: bool,
    team_limits: TeamLimits,
    stream_rules: StreamRules,
    absence_grace: Duration,
    min_interval: Duration,
    hashing: Semaphore,
    max_body_bytes: usize,
    request_timeout: Duration,
    openapi: String,
}

impl ApiState {
    /// The state, and what has to run for its live events.
    pub(crate) fn new(parts: ApiParts, openapi: String) -> (Self, Hub) {
        let has_limits = parts.rate_limit_per_min > 0;
        let metrics = Arc::new(Metrics::new());
        let (clock, open) = (parts.clock.clone(), metrics.event_streams().clone());
        let idle = parts.accounts.session_idle;
        let (live, hub) = Live::new(parts.store.clone(), clock, parts.event_streams, open, idle);
        let inner = Inner {
            store: parts.store,
            relay: parts.relay,
            origin: parts.origin,
            operator_origin: parts.operator_origin,
            metrics_token: parts.metrics_token,
            metrics_tasks: parts.metrics_tasks,
            needed_migration: parts.needed_migration,
            metrics,
            live,
            clock: parts.clock,
            rng: Mutex::new(parts.rng),
            requests: Throttle::new(parts.rate_limit_per_min),
            session_requests: Throttle::new(if has_limits { parts.session_rate_limit_per_min } else { 0 }),
            accounts: parts.accounts,
            runs: Throttle::new(if has_limits { parts.run_rate_limit_per_min } else { 0 }),
            guessing: Guessing::new(if has_limits { parts.login_rate_limit_per_min } else { 0 }),
            login_key: parts.login_key,
            refusals: Throttle::new(REFUSALS_PER_MIN),
            webhooks: Throttle::new(if has_limits { WEBHOOKS_PER_MIN } else { 0 }),
            webhook_guesses: Throttle::new(if has_limits { WEBHOOKS_PER_MIN } else { 0 }),
            webhook_secret_in_query: parts.webhook_secret_in_query,
            team_limits: parts.team_limits,
            hashing: Semaphore::new(HASHES_AT_ONCE),
            stream_rules: parts.stream_rules,
            absence_grace: parts.absence_grace,
            min_interval: parts.min_interval,
            max_body_bytes: parts.max_body_bytes,
            request_timeout: parts.request_timeout,
            openapi,
        };
        (Self(Arc::new(inner), Listener::Public), hub)
    }

    /// The same state for requests of the operator's listener.
    #[must_use]
    pub fn of_operator(&self) -> Self {
        Self(self.0.clone(), Listener::Operator)
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The way to a worker.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.0.relay
    }

    /// Where people reach the installation; what cookies and links in mails go by.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Where this very listener is reached.
    #[must_use]
    pub fn listener_origin(&self) -> &Origin {
        match self.1 {
            Listener::Public => &self.0.origin,
            Listener::Operator => &self.0.operator_origin,
        }
    }

    /// What the process counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// What is under way, told as it happens.
    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    /// What a reader of `/metrics` must know; none = nothing.
    #[must_use]
    pub fn metrics_token(&self) -> Option<&SecretString> {
        self.0.metrics_token.as_ref()
    }

    /// Of how many tasks `/metrics` tells.
    #[must_use]
    pub fn metrics_tasks(&self) -> u32 {
        self.0.metrics_tasks
    }

    /// The migration without which the program does not work.
    #[must_use]
    pub fn needed_migration(&self) -> Option<&str> {
        self.0.needed_migration.as_deref()
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0.clock)()
    }

    /// How late a success may be, where the task does not say.
    #[must_use]
    pub fn absence_grace(&self) -> Duration {
        self.0.absence_grace
    }

    /// No task may be scheduled more often.
    #[must_use]
    pub fn min_interval(&self) -> Duration {
        self.0.min_interval
    }

    /// What the operator chose for people.
    #[must_use]
    pub fn accounts(&self) -> &AccountSettings {
        &self.0.accounts
    }

    /// Requests of one user by session.
    #[must_use]
    pub fn session_requests(&self) -> &Throttle<UserId> {
        &self.0.session_requests
    }

    /// Requests of one user by token.
    #[must_use]
    pub fn requests(&self) -> &Throttle<UserId> {
        &self.0.requests
    }

    /// Runs started by one user.
    #[must_use]
    pub fn runs(&self) -> &Throttle<UserId> {
        &self.0.runs
    }

    /// Calls of one task's webhook with its secret.
    #[must_use]
    pub fn webhooks(&self) -> &Throttle<BackupTaskId> {
        &self.0.webhooks
    }

    /// Wrong secrets for one id, whether there is such a task or not.
    #[must_use]
    pub fn webhook_guesses(&self) -> &Throttle<BackupTaskId> {
        &self.0.webhook_guesses
    }

    /// Whether a webhook's secret may stand in the address.
    #[must_use]
    pub fn webhook_secret_in_query(&self) -> bool {
        self.0.webhook_secret_in_query
    }

    /// Tries of secrets.
    #[must_use]
    pub fn guessing(&self) -> &Guessing {
        &self.0.guessing
    }

    /// What opens two-factor secrets, if this process has it.
    #[must_use]
    pub fn login_key(&self) -> Option<&LoginKey> {
        self.0.login_key.as_ref()
    }

    /// Refusals that the audit log keeps.
    #[must_use]
    pub fn refusals(&self) -> &Throttle<UserId> {
        &self.0.refusals
    }

    /// What a team may have by default.
    #[must_use]
    pub fn team_limits(&self) -> &TeamLimits {
        &self.0.team_limits
    }

    /// What notification streams may be.
    #[must_use]
    pub fn stream_rules(&self) -> StreamRules {
        self.0.stream_rules
    }

    /// Largest body that is read.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.0.max_body_bytes
    }

    /// How long a request may take until its answer begins.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    /// The OpenAPI document.
    #[must_use]
    pub fn openapi(&self) -> &str {
        &self.0.openapi
    }

    /// Randomness; the lock is held for the closure alone.
    pub fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What closes envelopes to the workers.
    ///
    /// # Errors
    /// 503 while no worker has recorded its key.
    pub async fn sealer(&self) -> Result<Sealer, Problem> {
        let Some(key) = self.store().vault_key().await? else {
            return Err(Problem::unavailable(
                "no_vault_key",
                "No worker has recorded its key yet, so secrets cannot be stored. Start a worker and try again.",
            ));
        };
        Sealer::from_public_key(&key.public_key).map_err(|e| Problem::internal(&e))
    }

    /// Hashes a password off the async threads, a few at a time.
    ///
    /// # Errors
    /// 500 when hashing fails.
    pub async fn hash_password(&self, password: String) -> Result<String, Problem> {
        let permit = self.0.hashing.acquire().await.map_err(|e| Problem::internal(&e))?;
        let mut rng: StdRng = self.with_rng(rand::SeedableRng::from_rng);
        let hash = tokio::task::spawn_blocking(move || holdfast_vault::password::hash(&password, &mut rng)).await;
        drop(permit);
        hash.map_err(|e| Problem::internal(&e))?.map_err(|e| Problem::internal(&e))
    }

    /// Whether `password` is the one `stored` was made from; off the async threads, a few at a time.
    ///
    /// # Errors
    /// 500 when the thread ended.
    pub async fn verify_password(&self, password: String, stored: String) -> Result<bool, Problem> {
        let permit = self.0.hashing.acquire().await.map_err(|e| Problem::internal(&e))?;
        let fits = tokio::task::spawn_blocking(move || holdfast_vault::password::verify(&password, &stored)).await;
        drop(permit);
        fits.map_err(|e| Problem::internal(&e))
    }
}
