//! From settings to a working worker, and its orderly end.

use crate::context::{Random, SystemClock, SystemRandom, WorkerContext, WorkerParts, worker_name};
use crate::faults::FaultPoints;
use crate::lease::StopReason;
use crate::own_database::OwnDatabase;
use crate::register::{Jobs, take_jobs};
use crate::{data_plane, schedules};
use anyhow::{Context, Result, bail};
use holdfast_config::Config;
use holdfast_destinations::LocalRoot;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_store::Store;
use holdfast_vault::{KEY_VERSION, Kek, Opener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a stopped job may take to clean up after itself.
const CLEAN_UP_WITHIN: Duration = Duration::from_secs(20);

/// Runs a worker until `soft` is cancelled and what was in hand is over, or until `hard` is.
///
/// # Errors
/// It cannot start: the wrong key file, a local root that is not there, an address in use. Or it was cut off by `hard`.
pub async fn run(
    config: Arc<Config>,
    (store, own_database): (Store, Option<Arc<dyn OwnDatabase>>),
    kek: Kek,
    soft: CancellationToken,
    hard: CancellationToken,
) -> Result<()> {
    let opener = Opener::from_kek(&kek);
    drop(kek);
    check_key(&store, &opener).await?;
    let random = Arc::new(SystemRandom);
    let local_root = open_root(&config, random.as_ref()).await?;
    let egress = egress(&config);
    let listener = TcpListener::bind(config.data_plane.listen).await.with_context(|| {
        format!("the data plane cannot listen on {} (`data_plane.listen`)", config.data_plane.listen)
    })?;
    let data_plane_url = match &config.data_plane.advertise_url {
        Some(url) => url.to_string(),
        None => format!("http://{}", listener.local_addr()?),
    };
    let clock = Arc::new(SystemClock);
    let name = worker_name(clock.as_ref(), random.as_ref());
    let faults = FaultPoints::from_env(std::env::var("HOLDFAST_FAULT_POINT").ok().as_deref());
    let config = Arc::unwrap_or_clone(config);
    let parts = WorkerParts {
        store,
        opener,
        egress,
        config,
        local_root,
        name,
        data_plane_url,
        clock,
        random,
        faults,
        own_database,
    };
    let context = Arc::new(WorkerContext::new(parts).context("starting the lease keeper")?);
    run_worker(context, listener, soft, hard).await
}

/// Runs a worker that is put together already.
///
/// # Errors
/// It was cut off by `hard` while something was in hand.
pub async fn run_worker(
    context: Arc<WorkerContext>,
    listener: TcpListener,
    soft: CancellationToken,
    hard: CancellationToken,
) -> Result<()> {
    tracing::info!(worker = context.name, data_plane = context.data_plane_url, "worker started");
    let jobs = Jobs::new(Arc::clone(&context));
    let work = async {
        tokio::join!(
            data_plane::serve(Arc::clone(&context), listener, soft.clone(), hard.clone()),
            schedules::run_loops(&context, &soft),
            take_jobs(jobs.clone(), soft.clone()),
            drain(&context, &soft),
        );
        jobs.over().await;
    };
    let is_over = tokio::select! {
        () = work => true,
        () = hard.cancelled() => false,
    };
    if let Err(error) = context.store.worker_gone(&context.name).await {
        tracing::debug!(?error, "the worker's row could not be removed; it ends by itself");
    }
    context.leases.end();
    if !is_over {
        bail!("stopped at once; what was in hand is taken up by another worker when its lease is over");
    }
    tracing::info!(worker = context.name, "worker ended");
    Ok(())
}

/// After `soft`: work in hand may go on for `worker.drain_timeout_secs`; then it is stopped, cleans up and is handed back
/// to the queue, where another worker takes it at once.
async fn drain(context: &WorkerContext, soft: &CancellationToken) {
    soft.cancelled().await;
    // At once, so that the api sends nobody here any more.
    if let Err(error) = context.store.worker_drains(&context.name).await {
        tracing::debug!(?error, "the worker's row could not be removed; it ends by itself");
    }
    let limit = tokio::time::Instant::now() + context.config.worker.drain_timeout;
    while context.running() > 0 && tokio::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if context.running() == 0 {
        return;
    }
    tracing::info!(in_hand = context.running(), "work in hand is handed back to the queue");
    context.leases.stop_all(StopReason::ShuttingDown);
    let limit = tokio::time::Instant::now() + CLEAN_UP_WITHIN;
    while context.running() > 0 && tokio::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A worker with another key could open nothing, and would fail every run it took.
async fn check_key(store: &Store, opener: &Opener) -> Result<()> {
    let recorded = store
        .record_vault_key(KEY_VERSION, opener.public_key())
        .await
        .context("reading the workers' public key from the database")?;
    if recorded != opener.public_key() {
        bail!(
            "the key file (`vault.kek_file`) is not the one that this database's secrets are sealed to; give this worker \
             a copy of the file that the other workers have"
        );
    }
    Ok(())
}

async fn open_root(config: &Config, random: &dyn Random) -> Result<Option<LocalRoot>> {
    let Some(path) = config.destinations.local_root.clone() else { return Ok(None) };
    let fresh_id =
        uuid::Builder::from_random_bytes((u128::from(random.bits()) << 64 | u128::from(random.bits())).to_be_bytes())
            .into_uuid();
    let opened = tokio::task::spawn_blocking(move || LocalRoot::open(&path, fresh_id)).await?;
    Ok(Some(opened.context("the local store (`destinations.local_root`) cannot be used")?))
}

/// The guard that `config` asks for.
#[must_use]
pub fn egress(config: &Config) -> EgressGuard {
    let default = if config.egress.allow_private { EgressDefault::PrivateToo } else { EgressDefault::PublicOnly };
    EgressGuard::new(default, config.egress.allow.clone())
}
