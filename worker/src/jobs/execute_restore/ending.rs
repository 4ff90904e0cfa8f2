//! Writing down how an attempt ended: the one place that says `succeeded`.

use super::{Job, Stop};
use crate::lease::StopReason;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode};
use holdfast_sources::stream::Restored;
use holdfast_store::StoreError;
use holdfast_store::repositories::restore_execution::RestoreEnding;

/// What becomes of a stopped attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Another worker has it: nothing is written.
    Nothing,
    /// It goes back to the queue, uncounted.
    HandBack,
    /// Another attempt follows.
    Retry,
    /// It is over.
    End(RunStatus),
}

/// Writes the end of an attempt; nothing when the lease is lost.
pub async fn write(job: &Job, attempt: i32, ended: Result<Restored, Stop>) -> Result<(), StoreError> {
    let tx = job.context.store.for_team(&job.access).await?;
    let execution = tx.restore_execution(job.id, job.epoch);
    let progress = job.gauge.progress();
    let is_ours = match &ended {
        Ok(report) => {
            let status =
                if report.warnings.is_empty() { RunStatus::Succeeded } else { RunStatus::SucceededWithWarnings };
            let ending = RestoreEnding {
                status,
                failure: None,
                warnings: &report.warnings,
                progress: &job.gauge.own_progress(),
                process_terminated: None,
            };
            execution.end(&ending).await?
        }
        Err(stop) => {
            let failure = told(&stop.failure, job.has_touched());
            let end = |status| RestoreEnding {
                status,
                failure: Some(&failure),
                warnings: &NO_WARNINGS,
                progress: &progress,
                process_terminated: stop.process_terminated,
            };
            match then(stop, job.lease.reason(), attempt < job.context.max_attempts()) {
                Then::Nothing => false,
                Then::HandBack => execution.hand_back().await?,
                Then::Retry => execution.retry_later(job.context.retry_delay_secs(attempt)).await?,
                Then::End(status) => execution.end(&end(status)).await?,
            }
        }
    };
    tx.commit().await?;
    match (&ended, is_ours) {
        (Ok(report), true) => tracing::info!(restore = %job.id, entries = report.entries, "restore ended well"),
        (Err(stop), true) => tracing::warn!(restore = %job.id, "restore attempt ended: {}", stop.failure),
        (_, false) => tracing::warn!(restore = %job.id, epoch = job.epoch, "restore left to whoever holds it now"),
    }
    Ok(())
}

/// What is told of a failure: once something that existed was changed, that matters more than what stopped it.
fn told(failure: &Failure, has_touched: bool) -> Failure {
    let code = if has_touched { FailureCode::TargetIncomplete } else { failure.code };
    Failure { code, ..failure.clone() }
}

static NO_WARNINGS: Warnings = Warnings { kept: Vec::new(), count: 0 };

fn then(stop: &Stop, reason: Option<StopReason>, has_attempts_left: bool) -> Then {
    match (stop.failure.code, reason) {
        // What may stand at the target is not to be repeated, whoever stopped us.
        _ if stop.is_placing => Then::End(RunStatus::Failed),
        (FailureCode::Cancelled, _) => Then::End(RunStatus::Cancelled),
        (FailureCode::LeaseLost, Some(StopReason::ShuttingDown)) => Then::HandBack,
        (FailureCode::LeaseLost, _) => Then::Nothing,
        (code, _) if code.is_transient() && has_attempts_left => Then::Retry,
        _ => Then::End(RunStatus::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::Step;

    fn stop(code: FailureCode, is_placing: bool) -> Stop {
        Stop { failure: Failure::new(Step::Stage, code, "No."), is_placing, process_terminated: None }
    }

    #[test]
    fn only_what_touched_nothing_and_can_end_better_is_tried_again() {
        let ended = Then::End(RunStatus::Failed);
        assert_eq!(then(&stop(FailureCode::ConnectionLost, false), None, true), Then::Retry);
        assert_eq!(then(&stop(FailureCode::ConnectionLost, false), None, false), ended);
        assert_eq!(then(&stop(FailureCode::ConnectionLost, true), None, true), ended);
        assert_eq!(then(&stop(FailureCode::WrongPassword, false), None, true), ended);
        assert_eq!(then(&stop(FailureCode::TargetExists, false), None, true), ended);
    }

    #[test]
    fn a_lost_lease_writes_nothing_and_a_shutdown_costs_no_attempt() {
        let lost = stop(FailureCode::LeaseLost, false);
        assert_eq!(then(&lost, Some(StopReason::Fenced), true), Then::Nothing);
        assert_eq!(then(&lost, Some(StopReason::ShuttingDown), false), Then::HandBack);
        let cancelled = stop(FailureCode::Cancelled, false);
        assert_eq!(then(&cancelled, Some(StopReason::Cancelled), true), Then::End(RunStatus::Cancelled));
    }

    #[test]
    fn what_stopped_a_restore_is_told_until_something_that_existed_was_changed() {
        let failure = Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, "A chunk does not fit.");
        assert_eq!(told(&failure, false), failure);
        let incomplete = told(&failure, true);
        assert_eq!((incomplete.code, &incomplete.detail), (FailureCode::TargetIncomplete, &failure.detail));
    }
}
