//! One attempt of one backup run, from claim to end. The order of the steps is the protocol:
//!
//! ```text
//! claim → prepare → scripts before → connect → for each stream: stream → finish source → finish destinations
//!       → scripts always → verify → manifest → one transaction → scripts on success
//! ```
//!
//! See `scripts.rs` for which of them run after a bad end.
//!
//! Nothing is visible before the transaction; whatever an attempt makes is recorded before it is made; a run is a
//! success only through `run_commit`.

mod attempt;
mod commit;
mod conclude;
mod copies;
mod destinations;
mod journal;
mod lanes;
mod objects;
mod prepare;
mod scripts;
mod source;
mod stream;
mod streams;
mod verify;

pub(crate) use scripts::facts as script_facts;

use crate::context::WorkerContext;
use crate::faults::FaultPoint;
use attempt::Attempt;
use copies::Copies;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::StoreError;
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::taking::Claimed;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Claims the run that is this worker's next; the work is one attempt of it, and over when that is, however it ended.
///
/// # Errors
/// The database failed: what was not claimed is still queued, and what was is taken up again when its lease is over.
pub async fn take_run(context: Arc<WorkerContext>) -> Result<Option<BoxFuture<'static, ()>>, StoreError> {
    let claimed_at = Instant::now();
    let claimed = context.store.take_run(&context.taker(&context.store_ids())).await?;
    Ok(claimed.map(|claimed| execute_run(context, claimed, claimed_at).boxed()))
}

async fn execute_run(context: Arc<WorkerContext>, claimed: Claimed<BackupRunId>, claimed_at: Instant) {
    let id = claimed.id;
    let claim = Claim { team_id: claimed.team_id, leased: Leased::Run(id), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    let span = tracing::info_span!("backup_run", run = %id, team = %claimed.team_id, epoch = claimed.epoch);
    let attempt = Arc::new(Attempt::new(context, lease, claimed));
    one_attempt(attempt).instrument(span).await;
}

async fn one_attempt(attempt: Arc<Attempt>) {
    tracing::info!(attempt = attempt.number, "run claimed");
    if let Err(failure) = go_on(&attempt).await {
        return conclude::conclude(&attempt, Err(failure)).await;
    }
    let done = CancellationToken::new();
    let work = async {
        let outcome = AssertUnwindSafe(steps(&attempt)).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
        done.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(work, attempt.keep_journal(&done));
    conclude::conclude(&attempt, outcome).await;
}

/// How far an earlier attempt came, before anything is written of this one.
async fn go_on(attempt: &Attempt) -> Result<(), Failure> {
    if attempt.epoch == 1 {
        return Ok(());
    }
    let (id, epoch) = (attempt.run_id, attempt.epoch);
    let reading =
        attempt.in_tx(Step::Prepare, move |tx| Box::pin(async move { tx.run_execution(id, epoch).row().await }));
    attempt.journal.go_on_from(serde_json::from_value(reading.await?.progress).unwrap_or_default());
    Ok(())
}

/// The steps in order. `Ok` means that the transaction is done.
async fn steps(attempt: &Arc<Attempt>) -> Result<(), Failure> {
    attempt.reach(FaultPoint::Claimed).await;
    if attempt.number > 1 {
        attempt.say(format!("Attempt {}.", attempt.number));
    }
    if scripts::finish_committed(attempt).await? {
        return Ok(());
    }
    objects::remove_older(attempt).await;
    let prepared = prepare::prepare(attempt).await?;
    scripts::before(attempt).await?;
    let mut plan = source::plan(attempt, &prepared).await?;
    attempt.reach(FaultPoint::Connected).await;
    let mut copies = Copies::of(&prepared);
    let streams = streams::all(attempt, &prepared, &mut plan, &mut copies).await?;
    attempt.reach(FaultPoint::Stored).await;
    scripts::after_source(attempt).await;
    let warnings = verify::verify(attempt, &prepared, (&plan, &streams), &mut copies).await?;
    attempt.reach(FaultPoint::Verified).await;
    let status = commit::commit(attempt, &prepared, (plan, streams, warnings), copies).await?;
    // What is recorded is nobody's to remove, whatever happens from here on.
    attempt.take_noted();
    attempt.reach(FaultPoint::Committed).await;
    if attempt.has_success_scripts() {
        scripts::after_commit(attempt, status).await;
    }
    Ok(())
}

fn panicked() -> Failure {
    Failure::new(Step::Prepare, FailureCode::Internal, "The worker met a fault of its own.")
}
