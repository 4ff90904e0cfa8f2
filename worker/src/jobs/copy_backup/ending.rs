//! How an attempt ends: committed, tried again, handed back, or failed and cleaned up. If the connection breaks at the
//! commit the outcome is read, never assumed; until it is known nothing is removed.

use super::Job;
use crate::cleanup;
use crate::faults::FaultPoint;
use crate::lease::StopReason;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::StoreError;
use std::time::{Duration, Instant};

/// Every object was compared with its recorded hash twice, and read back.
const LEVEL: i16 = 1;

const DATABASE_PAUSE: Duration = Duration::from_millis(250);

/// What the copy becomes.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    Fail,
    Retry,
    HandBack,
    /// Somebody else's business now.
    Nothing,
}

/// Writes the end of the attempt.
pub(super) async fn write(job: &Job, attempt: i32, ended: Result<(), Failure>) -> Result<(), StoreError> {
    let failure = match ended {
        Ok(()) => match commit(job).await? {
            true => {
                tracing::info!(copy = %job.id, "copy is committed");
                return Ok(());
            }
            false if job.lease.stopped().is_cancelled() => job.lease.failure(Step::Commit),
            false => refused(job).await?,
        },
        Err(failure) => failure,
    };
    tracing::info!(copy = %job.id, epoch = job.epoch, "copy attempt ended: {failure}");
    let has_attempts_left = attempt < job.context.max_attempts();
    let then = then(&failure, job.lease.reason(), has_attempts_left);
    let tx = job.context.store.for_team(&job.access).await?;
    let copy = tx.copy_execution(job.id, job.epoch);
    let is_written = match then {
        Then::Nothing => return Ok(()),
        Then::Retry => copy.retry_later(&failure, job.context.retry_delay_secs(attempt)).await?,
        Then::HandBack => copy.hand_back().await?,
        Then::Fail => copy.fail(&failure).await?,
    };
    // Refused: the lease is lost, or a cancellation came between; then that is how it ends.
    let is_cancelled = !is_written && then != Then::Fail;
    let is_failed = match is_cancelled {
        true => copy.fail(&Failure::new(failure.step, FailureCode::Cancelled, "The work was stopped.")).await?,
        false => is_written && then == Then::Fail,
    };
    tx.commit().await?;
    if is_failed {
        cleanup::remove_failed_copy(&job.context, &job.access, job.id).await?;
    }
    Ok(())
}

fn then(failure: &Failure, reason: Option<StopReason>, has_attempts_left: bool) -> Then {
    match reason {
        Some(StopReason::Fenced | StopReason::DatabaseLost) => Then::Nothing,
        Some(StopReason::Cancelled | StopReason::TimedOut) => Then::Fail,
        Some(StopReason::ShuttingDown) => Then::HandBack,
        None if failure.code.is_transient() && has_attempts_left => Then::Retry,
        None => Then::Fail,
    }
}

/// Tries until the transaction is done, or it is known that it was not and cannot be.
async fn commit(job: &Job) -> Result<bool, StoreError> {
    job.context.faults.reach(FaultPoint::Copied).await;
    if job.lease.stopped().is_cancelled() {
        return Ok(false);
    }
    let begun = Instant::now();
    loop {
        let tried = try_commit(job).await;
        if let Ok(true) = tried {
            return Ok(true);
        }
        match (is_committed(job).await, tried) {
            (Ok(true), _) => return Ok(true),
            (Ok(false), Ok(_)) => return Ok(false),
            (Ok(false), Err(_)) if job.lease.stopped().is_cancelled() => return Ok(false),
            (_, Err(error)) if begun.elapsed() > job.context.config.worker.lease => return Err(error),
            (Err(error), _) if begun.elapsed() > job.context.config.worker.lease => return Err(error),
            (known, tried) => tracing::warn!(copy = %job.id, ?known, ?tried, "not committed yet"),
        }
        tokio::time::sleep(DATABASE_PAUSE).await;
    }
}

/// Why a commit was refused while the lease was ours.
async fn refused(job: &Job) -> Result<Failure, StoreError> {
    let tx = job.context.store.for_team(&job.access).await?;
    let row = tx.copy_execution(job.id, job.epoch).load().await?;
    tx.commit().await?;
    Ok(match row {
        None => Failure::new(Step::Commit, FailureCode::LeaseLost, "Another worker has it."),
        Some(row) if row.cancel_requested_at.is_some() => {
            Failure::new(Step::Commit, FailureCode::Cancelled, "The work was stopped.")
        }
        Some(_) => Failure::new(Step::Commit, FailureCode::NotAuthorised, "The backup was deleted meanwhile."),
    })
}

async fn try_commit(job: &Job) -> Result<bool, StoreError> {
    let tx = job.context.store.for_team(&job.access).await?;
    let copy = tx.copy_execution(job.id, job.epoch);
    copy.note_progress(&job.own_progress()).await?;
    let is_done = copy.commit(LEVEL).await?;
    tx.commit().await?;
    Ok(is_done)
}

async fn is_committed(job: &Job) -> Result<bool, StoreError> {
    let tx = job.context.store.for_team(&job.access).await?;
    tx.copy_execution(job.id, job.epoch).is_committed().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_still_holds_it_decides_and_only_passing_trouble_is_tried_again() {
        let failure = |code| Failure::new(Step::Stream, code, "No.");
        let full = failure(FailureCode::DestinationFull);
        assert_eq!(then(&full, None, true), Then::Retry);
        assert_eq!(then(&full, None, false), Then::Fail);
        assert_eq!(then(&failure(FailureCode::DestinationRefused), None, true), Then::Fail);
        assert_eq!(then(&full, Some(StopReason::Fenced), true), Then::Nothing);
        assert_eq!(then(&full, Some(StopReason::Cancelled), true), Then::Fail);
        assert_eq!(then(&full, Some(StopReason::ShuttingDown), false), Then::HandBack);
    }
}
