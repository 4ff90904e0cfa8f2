//! Runs that nobody works on: put on the queue again, or ended. With this every run ends, whatever happened to its
//! worker or to the queue.

use crate::context::WorkerContext;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::queue::{self, Job};
use holdfast_store::system_runs::{Stray, StrayRule, Verdict};
use holdfast_store::{Access, StoreError};

/// Strays of one round.
const AT_MOST: i32 = 100;

/// A queued run that could have been claimed for so long has probably lost its job.
pub(super) const QUEUED_SECS: f64 = 5.0;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let rule = StrayRule { max_attempts: context.max_attempts(), queued_secs: QUEUED_SECS, at_most: AT_MOST };
    for stray in context.store.stray_runs(rule).await? {
        let tx = context.store.for_team(&Access::system(stray.team_id, "stray runs")).await?;
        match stray.verdict {
            Verdict::Nudge => queue::nudge(&tx, Job::ExecuteRun(stray.id, stray.epoch + 1), bucket(context)).await?,
            Verdict::Abandon | Verdict::Cancel => end(&tx, &stray).await?,
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn end(tx: &holdfast_store::TeamTx, stray: &Stray<holdfast_domain::ids::BackupRunId>) -> Result<(), StoreError> {
    let (status, failure) = ending(stray.verdict);
    let lines = [failure.to_string()];
    tx.append_run_lines(stray.id, stray.epoch, &lines).await?;
    if tx.run_execution(stray.id, stray.epoch).end_stray(status, &failure).await? {
        tracing::warn!(run = %stray.id, "a stray run was ended: {failure}");
    }
    Ok(())
}

/// How a stray ends that is not worked on any more.
pub(super) fn ending(verdict: Verdict) -> (RunStatus, Failure) {
    match verdict {
        Verdict::Cancel => {
            let detail = "It was cancelled while no worker had it.";
            (RunStatus::Cancelled, Failure::new(Step::Prepare, FailureCode::Cancelled, detail))
        }
        Verdict::Abandon | Verdict::Nudge => {
            let detail = "Its workers disappeared.";
            (RunStatus::Failed, Failure::new(Step::Prepare, FailureCode::Abandoned, detail))
        }
    }
}

/// Tells nudges of different rounds apart, so that one that came to nothing can be repeated.
pub(super) fn bucket(context: &WorkerContext) -> i64 {
    context.clock.now().timestamp()
}
