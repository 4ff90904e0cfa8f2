//! Runs that nobody works on nor will: they are ended. Workers take up the others by themselves. With this every run ends,
//! whatever happened to its worker.

use crate::context::WorkerContext;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::system_runs::{Stray, Verdict};
use holdfast_store::{Access, StoreError};

/// Strays of one round.
const AT_MOST: i32 = 100;

/// What could have been claimed for so long has probably lost its job.
pub(super) const QUEUED_SECS: f64 = 5.0;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for stray in context.store.runs_to_end(context.max_attempts(), AT_MOST).await? {
        let tx = context.store.for_team(&Access::system(stray.team_id, "stray runs")).await?;
        end(&tx, &stray).await?;
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
