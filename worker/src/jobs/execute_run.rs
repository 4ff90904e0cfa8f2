//! One attempt of one backup run, from claim to end. The order of the steps is the protocol:
//!
//! ```text
//! claim → prepare → connect → for each stream: stream → finish source → finish destinations
//!       → verify → manifest → one transaction
//! ```
//!
//! Nothing is visible before the transaction; whatever an attempt makes is recorded before it is made; a run is a
//! success only through `run_commit`. A second delivery of the same job finds nothing to claim and ends.

mod attempt;
mod commit;
mod conclude;
mod copies;
mod destinations;
mod journal;
mod lanes;
mod objects;
mod prepare;
mod source;
mod stream;
mod streams;
mod verify;

use crate::context::WorkerContext;
use crate::faults::FaultPoint;
use attempt::Attempt;
use copies::Copies;
use futures_util::FutureExt;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::lease::{Claim, Leased};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Executes a run if it may be claimed, and returns when this attempt is over, however it ended.
pub async fn execute_run(context: Arc<WorkerContext>, id: BackupRunId) {
    let claimed_at = Instant::now();
    let lease_secs = context.config.worker.lease.as_secs_f64();
    let claimed = match context.store.claim_run(id, &context.name, lease_secs, context.max_attempts()).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => {
            tracing::debug!(run = %id, "nothing to claim");
            return;
        }
        Err(error) => {
            // The run is still queued, so the reconciler finds it.
            tracing::warn!(run = %id, ?error, "the run could not be claimed");
            return;
        }
    };
    let claim = Claim { team_id: claimed.team_id, leased: Leased::Run(id), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    tracing::info!(run = %id, epoch = claimed.epoch, attempt = claimed.attempt, "run claimed");
    let attempt = Arc::new(Attempt::new(context, lease, id, claimed));
    let done = CancellationToken::new();
    let work = async {
        let outcome = AssertUnwindSafe(steps(&attempt)).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
        done.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(work, attempt.keep_journal(&done));
    conclude::conclude(&attempt, outcome).await;
}

/// The steps in order. `Ok` means that the transaction is done.
async fn steps(attempt: &Arc<Attempt>) -> Result<(), Failure> {
    attempt.reach(FaultPoint::Claimed).await;
    if attempt.number > 1 {
        attempt.say(format!("Attempt {}.", attempt.number));
    }
    objects::remove_older(attempt).await;
    let prepared = prepare::prepare(attempt).await?;
    let mut plan = source::plan(attempt, &prepared).await?;
    attempt.reach(FaultPoint::Connected).await;
    let mut copies = Copies::of(&prepared);
    let streams = streams::all(attempt, &prepared, &mut plan, &mut copies).await?;
    attempt.reach(FaultPoint::Stored).await;
    let warnings = verify::verify(attempt, &prepared, (&plan, &streams), &mut copies).await?;
    attempt.reach(FaultPoint::Verified).await;
    commit::commit(attempt, &prepared, (plan, streams, warnings), copies).await?;
    attempt.reach(FaultPoint::Committed).await;
    Ok(())
}

fn panicked() -> Failure {
    Failure::new(Step::Prepare, FailureCode::Internal, "The worker met a fault of its own.")
}
