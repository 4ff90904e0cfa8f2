//! Every periodic loop of a worker, in one list. Each says when it ran and what came of it, and an operator may want a round
//! at once: `GET /api/system/jobs`.

use crate::context::WorkerContext;
use crate::reconcile::{
    absence, account_mails, closings, copy_leftovers, deliveries, digests, due_tasks, leftovers, login_failures,
    owed_scripts, prunes, purges, reachability, recycle_bin, run_logs, stray_copies, stray_own_backups, stray_restores,
    stray_runs, worker_row,
};
use holdfast_store::fleet::Round;
use holdfast_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The api counts a worker as alive for 45 s; three rows may be late.
const WORKER_ROW_EVERY: Duration = Duration::from_secs(10);

/// How late a look at a server or destination may be.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Housekeeping.
const PURGES_EVERY: Duration = Duration::from_secs(600);

/// What an operator wants at once is looked for so often.
const REQUESTS_EVERY: Duration = Duration::from_secs(2);

/// Rounds that follow each other faster are not all noted, unless one failed or was wanted.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// Runs the loops until `stop`.
pub async fn run_loops(context: &WorkerContext, stop: &CancellationToken) {
    let interval = context.config.worker.reconcile_interval;
    let forced = Forced::default();
    let lasting = |name, every| Loop { name, every, stop, context, forced: forced.of(name) };
    let often = |name| lasting(name, interval);
    let row = lasting("worker_row", interval.min(WORKER_ROW_EVERY));
    let due = lasting("due_tasks", interval.min(due_tasks::LOOK_AHEAD));
    let purge = lasting("purges", PURGES_EVERY);
    let logs = lasting("run_logs", PURGES_EVERY);
    let watch = lasting("absence", context.config.absence.watch_interval);
    let look = lasting("reachability", LOOKS_EVERY);
    tokio::join!(
        forced.hand_on(&context.store, stop),
        look.run(|| reachability::reconcile(context)),
        watch.run(|| absence::reconcile(context)),
        row.run(|| worker_row::reconcile(context)),
        often("account_mails").run(|| account_mails::reconcile(context)),
        often("deliveries").run(|| deliveries::reconcile(context)),
        often("digests").run(|| digests::reconcile(context)),
        due.run(|| due_tasks::tick(context)),
        often("stray_runs").run(|| stray_runs::reconcile(context)),
        often("stray_restores").run(|| stray_restores::reconcile(context)),
        often("stray_own_backups").run(|| stray_own_backups::reconcile(context)),
        often("stray_copies").run(|| stray_copies::reconcile(context)),
        often("closings").run(|| closings::reconcile(context)),
        often("copy_leftovers").run(|| copy_leftovers::reconcile(context)),
        often("leftovers").run(|| leftovers::reconcile(context)),
        often("login_failures").run(|| login_failures::reconcile(context)),
        often("owed_scripts").run(|| owed_scripts::reconcile(context)),
        often("prunes").run(|| prunes::reconcile(context)),
        often("recycle_bin").run(|| recycle_bin::reconcile(context)),
        purge.run(|| purges::reconcile(context)),
        logs.run(|| run_logs::reconcile(context)),
    );
}

struct Loop<'a> {
    name: &'static str,
    every: Duration,
    stop: &'a CancellationToken,
    context: &'a WorkerContext,
    forced: Arc<Notify>,
}

impl Loop<'_> {
    /// One round at once, then one every `every` after the last one's end, and one when an operator wants it. A failed round
    /// is only told: the next one does its work.
    async fn run<F: Future<Output = Result<(), StoreError>>>(self, round: impl Fn() -> F) {
        let (mut noted, mut is_forced) = (None::<Instant>, false);
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            // A round in hand is cut off by the stop: it is a transaction, or repeated by the next.
            let ended = tokio::select! {
                () = self.stop.cancelled() => return,
                ended = round() => ended,
            };
            if let Err(error) = &ended {
                tracing::warn!(reconciler = self.name, ?error, "a round failed");
            }
            if is_forced || ended.is_err() || noted.is_none_or(|at| at.elapsed() >= NOTED_EVERY) {
                noted = Some(Instant::now());
                self.note(begun, ended.err(), is_forced).await;
            }
            is_forced = tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => false,
                () = self.forced.notified() => true,
            };
        }
    }

    async fn note(&self, begun: Instant, error: Option<StoreError>, is_forced: bool) {
        let round = Round {
            name: self.name,
            interval_secs: self.every.as_secs_f64(),
            worker: &self.context.name,
            took_secs: begun.elapsed().as_secs_f64(),
            error: error.map(|error| error.to_string()),
            is_forced,
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            noted = self.context.store.note_round(&round) => if let Err(error) = noted {
                tracing::debug!(reconciler = self.name, ?error, "a round could not be noted");
            }
        }
    }
}

/// The loops, and how each is told that an operator wants a round.
#[derive(Default)]
struct Forced(Mutex<BTreeMap<&'static str, Arc<Notify>>>);

impl Forced {
    fn of(&self, name: &'static str) -> Arc<Notify> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default())
    }

    /// Hands on what operators want until `stop`.
    async fn hand_on(&self, store: &Store, stop: &CancellationToken) {
        let loops = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names: Vec<&str> = loops.keys().copied().collect();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REQUESTS_EVERY) => {}
            }
            // Taken and not cut off: what was taken is nobody else's.
            match store.take_requested_round(&names).await {
                Ok(Some(name)) => loops.get(name.as_str()).into_iter().for_each(|one| one.notify_one()),
                Ok(None) => {}
                Err(error) => tracing::debug!(?error, "whether a round is wanted is not known"),
            }
        }
    }
}
