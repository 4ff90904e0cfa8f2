//! Objects at destinations: recorded before they are made, removed by that record. No name is ever matched.

use super::attempt::Attempt;
use crate::cleanup;
use holdfast_destinations::Destination;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::Sink;
use std::sync::Arc;
use std::time::Duration;

/// A recorded object of this attempt.
pub(super) struct Noted {
    /// `backup_run_objects.id`.
    pub(super) object_id: i64,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) name: String,
}

/// Records `name` and opens it for writing.
///
/// # Errors
/// The lease is lost, or the destination refused.
pub(super) async fn create(
    attempt: &Attempt,
    destination_id: i64,
    destination: &Arc<dyn Destination>,
    name: &str,
) -> Result<Box<dyn Sink>, Failure> {
    let (id, epoch, wanted, to) = (attempt.run_id, attempt.epoch, name.to_owned(), BackupDestinationId(destination_id));
    let noted = attempt
        .in_tx(Step::Stream, move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move { tx.run_execution(id, epoch).note_object(to, &wanted).await })
        })
        .await?;
    let object_id = noted
        .ok_or_else(|| Failure::new(Step::Stream, FailureCode::LeaseLost, "The worker was silent for too long."))?;
    attempt.remember(Noted { object_id, destination: Arc::clone(destination), name: name.to_owned() });
    attempt.reach(crate::faults::FaultPoint::Noted).await;
    attempt.lease.guard(Step::Stream, destination.put(name)).await
}

/// So long may removing what an attempt made take: a disk that hangs must not hold the end of its run.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// Removes what this attempt made. Only for an attempt that can not commit any more. What is not removed in time stays on
/// record, and the reconciler goes on.
pub(super) async fn remove_own(attempt: &Attempt) {
    if tokio::time::timeout(REMOVED_WITHIN, remove_noted(attempt)).await.is_err() {
        tracing::warn!(run = %attempt.run_id, "unfinished objects are still there: removing them takes too long");
    }
}

async fn remove_noted(attempt: &Attempt) {
    for noted in attempt.take_noted() {
        if let Err(failure) = noted.destination.delete(&noted.name).await {
            // The record stays, so the reconciler tries again.
            tracing::warn!(run = %attempt.run_id, name = noted.name, "an unfinished object is still there: {failure}");
            continue;
        }
        let marked = attempt
            .in_tx_unguarded(Step::FinishDestination, move |tx| {
                Box::pin(async move { tx.mark_object_removed(noted.object_id).await })
            })
            .await;
        if marked.is_err() {
            return;
        }
    }
}

/// Removes what older attempts of this run left. Trouble with it does not touch the run: the reconciler tries again.
pub(super) async fn remove_older(attempt: &Attempt) {
    match cleanup::remove_leftovers(&attempt.context, &attempt.access, attempt.run_id).await {
        Ok(0) => {}
        Ok(removed) => attempt.say(format!("Removed {removed} unfinished objects of earlier attempts.")),
        Err(error) => tracing::warn!(run = %attempt.run_id, ?error, "leftovers of earlier attempts are still there"),
    }
}
