//! How an attempt that brought no backup ends: cleaned up first, then cancelled, handed back, tried again or failed.

use super::attempt::Attempt;
use super::{objects, scripts};
use crate::cleanup;
use crate::lease::StopReason;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode};
use holdfast_store::repositories::run_execution::RunEnding;
use std::collections::BTreeMap;

/// What the run becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Over.
    Final(RunStatus),
    /// Queued again, not before so many seconds.
    Retry(f64),
    /// Queued again for another worker in so many seconds, the attempt not counted.
    HandBack(f64),
    /// Somebody else's business now.
    Nothing,
}

/// Ends the attempt after `outcome`; a success has ended itself.
pub(super) async fn conclude(attempt: &Attempt, outcome: Result<(), Failure>) {
    let Err(failure) = outcome else {
        tracing::info!(run = %attempt.run_id, epoch = attempt.epoch, "run succeeded");
        // A partial success leaves records of what its failed destinations may hold; the reconciler would find them too.
        if let Err(error) = cleanup::remove_leftovers(&attempt.context, &attempt.access, attempt.run_id).await {
            tracing::debug!(?error, "leftovers stay for the reconciler");
        }
        return;
    };
    tracing::info!(run = %attempt.run_id, epoch = attempt.epoch, "attempt ended: {failure}");
    objects::remove_own(attempt).await;
    let end = decide(attempt, &failure);
    let last = match end {
        End::Nothing => return,
        End::Final(status) => Some(status),
        End::Retry(_) | End::HandBack(_) => None,
    };
    scripts::after_failure(attempt, &failure, last).await;
    if write(attempt, &failure, end).await {
        return;
    }
    attempt.journal.unsay();
    // Refused: the lease is lost, or a cancellation came between; then that is how it ends.
    if matches!(end, End::Retry(_) | End::HandBack(_)) {
        let cancelled = Failure::new(failure.step, FailureCode::Cancelled, "The work was stopped.");
        write(attempt, &cancelled, End::Final(RunStatus::Cancelled)).await;
    }
}

fn decide(attempt: &Attempt, failure: &Failure) -> End {
    match attempt.lease.reason() {
        Some(StopReason::Fenced | StopReason::DatabaseLost) => End::Nothing,
        Some(StopReason::Cancelled) => End::Final(RunStatus::Cancelled),
        Some(StopReason::ShuttingDown) => End::HandBack(0.0),
        Some(StopReason::TimedOut) => End::Final(RunStatus::Failed),
        None if attempt.is_for_another.is_cancelled() => End::HandBack(0.0),
        None if failure.code.is_transient() && attempt.number < attempt.context.max_attempts() => {
            End::Retry(attempt.context.retry_delay_secs(attempt.number))
        }
        None => End::Final(RunStatus::Failed),
    }
}

async fn write(attempt: &Attempt, failure: &Failure, end: End) -> bool {
    attempt.say(match end {
        End::Final(RunStatus::Cancelled) => "Cancelled. Nothing of this run is stored.".to_owned(),
        End::Final(_) => failure.to_string(),
        End::Retry(secs) => format!("{failure} The next attempt follows in {secs:.0} s."),
        End::HandBack(_) if attempt.is_for_another.is_cancelled() => {
            "Another worker holds the destination's store; it takes over.".to_owned()
        }
        End::HandBack(_) | End::Nothing => "The worker shuts down; another one takes over.".to_owned(),
    });
    let (lines, progress) = (attempt.journal.lines(), attempt.journal.progress());
    let progress = Progress { current_file: None, ..progress };
    // A run that goes to another worker taught nothing: its store may be there.
    let lost = if matches!(end, End::HandBack(_)) { BTreeMap::new() } else { attempt.lost_destinations() };
    let (id, epoch, process_terminated) = (attempt.run_id, attempt.epoch, attempt.program_is_gone());
    let written = attempt
        .in_tx_unguarded(failure.step, move |tx| {
            let (lines, progress, failure, lost) = (lines.clone(), progress.clone(), failure.clone(), lost.clone());
            Box::pin(async move {
                let run = tx.run_execution(id, epoch);
                let ending = RunEnding { failure: &failure, progress: &progress, process_terminated };
                let ended = match end {
                    End::Final(status) => run.end(status, &ending).await?,
                    End::Retry(secs) => run.retry_later(&ending, secs).await?,
                    End::HandBack(secs) => run.hand_back(secs).await?,
                    End::Nothing => true,
                };
                if ended {
                    for (destination, why) in &lost {
                        tx.reachability().note_place(BackupDestinationId(*destination), Err(why)).await?;
                    }
                    tx.append_said_lines(id, epoch, &lines, true).await?;
                }
                Ok(ended)
            })
        })
        .await;
    written.unwrap_or(false)
}
