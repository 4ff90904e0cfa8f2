//! Every job of the queue, and how the queue library is kept from harm.
//!
//! The library re-delivers, retries in a second, runs twice what a paused worker held, and sends no heartbeat while
//! something blocks its task. So: one job at a time is fetched (`batch_size` 1) for each free place, the worker's name
//! is unique to every start, a handler always returns Ok and never panics, its work runs in a task of its own, and the
//! library's orphan sweep is slow because our leases decide. Nothing here may rely on a job being delivered. Runs and
//! copies are not even taken by their jobs: those only wake the loop that takes what Postgres says is next.

use crate::context::WorkerContext;
use crate::jobs::copy_backup::take_copy;
use crate::jobs::execute_restore::execute_restore;
use crate::jobs::execute_run::take_run;
use crate::jobs::make_own_backup::make_own_backup;
use crate::jobs::prune_task::prune_task;
use crate::jobs::send_account_mail::send_account_mails;
use crate::jobs::send_delivery::send_delivery;
use crate::taking::{Work, keep_taking};
use crate::wakeups::Wakeups;
use apalis::prelude::{Data, Monitor, Strategy, WorkerBuilder};
use apalis_postgres::{Config, PostgresStorage};
use holdfast_store::queue::{
    self, CopyBackup, ExecuteRestore, ExecuteRun, MakeOwnBackup, PruneTask, SendAccountMail, SendDelivery,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::limit::ConcurrencyLimitLayer;

/// Notifications start a job at once; this finds delayed ones, and those whose notification was lost.
const POLL_EVERY: Duration = Duration::from_millis(1000);

/// After so long without a heartbeat the library hands a dead worker's jobs to another (heartbeats × missed).
const LIBRARY_HEARTBEAT: Duration = Duration::from_secs(15);
const LIBRARY_MISSED: usize = 4;

/// Prunes at a time: deleting must not take the places of backups.
const PRUNES: usize = 2;

/// Messages at a time: a receiver that hangs must not keep the others waiting.
const DELIVERIES: usize = 8;

/// Jobs of runs and copies that are fetched together: they only wake.
const NUDGES: usize = 50;

/// How long the library may take to end once nothing is in hand.
const QUEUE_ENDS_WITHIN: Duration = Duration::from_secs(3);

/// Jobs in hand. They outlive the queue's own tasks, which end when the database goes away.
#[derive(Clone)]
pub struct Jobs {
    context: Arc<WorkerContext>,
    tracker: TaskTracker,
    pub(crate) wakeups: Arc<Wakeups>,
}

impl Jobs {
    /// None yet.
    #[must_use]
    pub fn new(context: Arc<WorkerContext>) -> Self {
        Self { context, tracker: TaskTracker::new(), wakeups: Arc::default() }
    }

    /// Waits until every job in hand is over; no new one may be started then.
    pub async fn over(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Begins claimed work, which is in hand from now on and gives its place back when it is over.
    pub(crate) fn begin(&self, work: Work, place: OwnedSemaphorePermit) {
        let counted = self.context.count_running();
        let work = async move {
            work.await;
            drop((counted, place));
        };
        let tracker = self.tracker.clone();
        self.tracker.spawn(async move { watched(&tracker, work).await });
    }

    /// Runs `work`, which is in hand from now on.
    async fn perform(&self, work: impl Future<Output = ()> + Send + 'static) {
        let counted = self.context.count_running();
        let work = async move {
            work.await;
            drop(counted);
        };
        watched(&self.tracker, work).await;
    }
}

/// Runs `work` in a task of its own. A panic ends that task alone; its lease then ends by itself.
async fn watched(tracker: &TaskTracker, work: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = tracker.spawn(work).await {
        tracing::error!("a job panicked: {error}");
    }
}

async fn on_execute_run(_: ExecuteRun, jobs: Data<Jobs>) -> Result<(), Infallible> {
    jobs.wakeups.wake(queue::EXECUTE_RUN);
    Ok(())
}

async fn on_execute_restore(job: ExecuteRestore, jobs: Data<Jobs>) -> Result<(), Infallible> {
    let context = Arc::clone(&jobs.context);
    jobs.perform(execute_restore(context, job.restore_id)).await;
    Ok(())
}

async fn on_copy_backup(_: CopyBackup, jobs: Data<Jobs>) -> Result<(), Infallible> {
    jobs.wakeups.wake(queue::COPY_BACKUP);
    Ok(())
}

async fn on_make_own_backup(job: MakeOwnBackup, jobs: Data<Jobs>) -> Result<(), Infallible> {
    jobs.perform(make_own_backup(Arc::clone(&jobs.context), job.own_backup_id)).await;
    Ok(())
}

async fn on_prune_task(job: PruneTask, jobs: Data<Jobs>) -> Result<(), Infallible> {
    jobs.perform(prune_task(Arc::clone(&jobs.context), job.backup_task_id)).await;
    Ok(())
}

async fn on_send_account_mail(_: SendAccountMail, jobs: Data<Jobs>) -> Result<(), Infallible> {
    let context = Arc::clone(&jobs.context);
    let send = async move {
        if let Err(error) = send_account_mails(&context).await {
            tracing::warn!(?error, "mails about accounts wait for the next round");
        }
    };
    jobs.perform(send).await;
    Ok(())
}

async fn on_send_delivery(job: SendDelivery, jobs: Data<Jobs>) -> Result<(), Infallible> {
    jobs.perform(send_delivery(Arc::clone(&jobs.context), job.delivery_id)).await;
    Ok(())
}

/// One more queue that `monitor` serves, so many jobs of it at once.
macro_rules! serve {
    ($monitor:expr, $jobs:expr, $queue:expr, $payload:ty, $at_once:expr, $handler:expr) => {
        serve!($monitor, $jobs, $queue, $payload, $at_once, $handler, fetching 1)
    };
    ($monitor:expr, $jobs:expr, $queue:expr, $payload:ty, $at_once:expr, $handler:expr, fetching $fetched:expr) => {{
        let jobs = $jobs.clone();
        $monitor.register(move |start| {
            WorkerBuilder::new(name(&jobs, $queue, start))
                .backend(backend::<$payload>(&jobs, $queue, $fetched))
                .data(jobs.clone())
                .layer(ConcurrencyLimitLayer::new($at_once))
                .build($handler)
        })
    }};
}

/// Every queue.
fn monitor(jobs: &Jobs) -> Monitor {
    let places = places(jobs);
    let monitor = Monitor::new();
    let monitor = serve!(monitor, jobs, queue::EXECUTE_RUN, ExecuteRun, 1, on_execute_run, fetching NUDGES);
    let monitor = serve!(monitor, jobs, queue::EXECUTE_RESTORE, ExecuteRestore, places, on_execute_restore);
    let monitor = serve!(monitor, jobs, queue::COPY_BACKUP, CopyBackup, 1, on_copy_backup, fetching NUDGES);
    let monitor = serve!(monitor, jobs, queue::MAKE_OWN_BACKUP, MakeOwnBackup, 1, on_make_own_backup);
    let monitor = serve!(monitor, jobs, queue::PRUNE_TASK, PruneTask, PRUNES, on_prune_task);
    let monitor = serve!(monitor, jobs, queue::SEND_ACCOUNT_MAIL, SendAccountMail, 1, on_send_account_mail);
    let monitor = serve!(monitor, jobs, queue::SEND_DELIVERY, SendDelivery, DELIVERIES, on_send_delivery);
    // The library's worker dies with its first failed statement; the jobs in hand do not.
    monitor.should_restart(|worker, error| {
        tracing::warn!(worker = worker.name(), %error, "the queue's worker starts anew");
        true
    })
}

fn places(jobs: &Jobs) -> usize {
    usize::try_from(jobs.context.config.worker.concurrency).unwrap_or(1).max(1)
}

/// Takes work until `stop`, then waits for what came from the queue's library.
pub async fn take_jobs(jobs: Jobs, stop: CancellationToken) {
    let (context, places) = (&jobs.context, places(&jobs));
    tokio::join!(
        jobs.wakeups.listen(&context.store, &stop),
        keep_taking(&jobs, queue::EXECUTE_RUN, places, || take_run(Arc::clone(context)), &stop),
        keep_taking(&jobs, queue::COPY_BACKUP, places, || take_copy(Arc::clone(context)), &stop),
        serve_queues(&jobs, stop.clone()),
    );
}

/// Serves the library's queues until `stop` and the end of what is in hand.
async fn serve_queues(jobs: &Jobs, stop: CancellationToken) {
    let monitor = monitor(jobs);
    let ending = stop.clone();
    let signal = async move {
        stop.cancelled().await;
        Ok(())
    };
    let ended = async {
        if let Err(error) = monitor.run_with_signal(signal).await {
            tracing::warn!(%error, "the queue ended");
        }
    };
    // A worker of the library that had to start anew (its connection broke) may never end: seen after connections were
    // lost at a commit. What is in hand is ours, not its, so it is left.
    tokio::select! {
        () = ended => {}
        () = nothing_in_hand(jobs, &ending) => tracing::warn!("the queue does not end by itself and is left"),
    }
}

/// Comes [`QUEUE_ENDS_WITHIN`] after `stop` and the end of the last job.
async fn nothing_in_hand(jobs: &Jobs, stop: &CancellationToken) {
    stop.cancelled().await;
    while jobs.context.running() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(QUEUE_ENDS_WITHIN).await;
}

fn name(jobs: &Jobs, queue: &str, start: usize) -> String {
    format!("{}-{queue}-{start}", jobs.context.name)
}

fn backend<Job>(
    jobs: &Jobs,
    queue: &'static str,
    fetched: usize,
) -> apalis::prelude::PollWith<PostgresStorage<Job>, Strategy> {
    let pool = jobs.context.store.queue_pool();
    let config = Config::default()
        .queue(queue)
        .batch_size(fetched)
        .heartbeat_interval(LIBRARY_HEARTBEAT)
        .missed_heartbeats(LIBRARY_MISSED);
    let wake = Strategy::new().stream(jobs.wakeups.of(queue)).interval(POLL_EVERY);
    apalis::prelude::PollWith::new(PostgresStorage::new(pool).with_config(config), wake)
}
