//! Every periodic loop of a worker, in one list.

use crate::context::WorkerContext;
use crate::reconcile::{
    absence, account_mails, closings, copy_leftovers, deliveries, digests, due_tasks, leftovers, login_failures,
    owed_scripts, prunes, purges, reachability, recycle_bin, run_logs, stray_copies, stray_own_backups, stray_restores,
    stray_runs, worker_row,
};
use holdfast_store::StoreError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The api counts a worker as alive for 45 s; three rows may be late.
const WORKER_ROW_EVERY: Duration = Duration::from_secs(10);

/// How late a look at a server or destination may be.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Housekeeping.
const PURGES_EVERY: Duration = Duration::from_secs(600);

/// Runs the loops until `stop`.
pub async fn run_loops(context: &WorkerContext, stop: &CancellationToken) {
    let interval = context.config.worker.reconcile_interval;
    let often = |name| Loop { name, every: interval, stop };
    let row = Loop { name: "worker_row", every: interval.min(WORKER_ROW_EVERY), stop };
    let due = Loop { name: "due_tasks", every: interval.min(due_tasks::LOOK_AHEAD), stop };
    let purge = Loop { name: "purges", every: PURGES_EVERY, stop };
    let logs = Loop { name: "run_logs", every: PURGES_EVERY, stop };
    let watch = Loop { name: "absence", every: context.config.absence.watch_interval, stop };
    let look = Loop { name: "reachability", every: LOOKS_EVERY, stop };
    tokio::join!(
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
}

impl Loop<'_> {
    /// One round at once, then one every `every` after the last one's end. A failed round is only logged: the next one
    /// does its work.
    async fn run<F: Future<Output = Result<(), StoreError>>>(self, round: impl Fn() -> F) {
        while !self.stop.is_cancelled() {
            // A round in hand is cut off by the stop: it is a transaction, or repeated by the next.
            tokio::select! {
                () = self.stop.cancelled() => return,
                ended = round() => if let Err(error) = ended {
                    tracing::warn!(reconciler = self.name, ?error, "a round failed");
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }
}
