//! Making a copy of a backup later, from a copy that exists: object by object, each compared with its recorded hash on
//! the way, the manifest last. The source server is not touched. The copy exists only once the row says so; until then its
//! objects are a record of what is to be removed.
//!
//! Its objects must have the names that the manifest says, so two attempts write under the same names. They write the same
//! bytes, only the one with the right epoch commits, and it reads back what is there before it does.

mod attempt;
mod choose;
mod ending;
mod moving;

use crate::context::WorkerContext;
use crate::lease::Lease;
use crate::secrets::store_failure;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdfast_domain::ids::BackupCopyId;
use holdfast_domain::progress::Progress;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::taking::Claimed;
use holdfast_store::{Access, StoreError};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::Instrument;

/// One claimed copy.
struct Job {
    context: Arc<WorkerContext>,
    access: Access,
    id: BackupCopyId,
    epoch: i32,
    lease: Lease,
    progress: Mutex<Progress>,
    /// How far an earlier attempt, or this one from another copy, came.
    floor: Mutex<Progress>,
    /// When the row was last written, and how far it was.
    written: Mutex<Option<(Instant, u64)>>,
}

impl Job {
    /// Notes that `step` begins; an error when the lease is lost.
    async fn enter(&self, step: Step) -> Result<(), Failure> {
        let entered = async {
            let tx = self.context.store.for_team(&self.access).await?;
            let is_ours = tx.copy_execution(self.id, self.epoch).enter(step).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(is_ours)
        };
        match entered.await {
            Ok(true) if !self.lease.stopped().is_cancelled() => Ok(()),
            Ok(_) => Err(self.lease.failure(step)),
            Err(error) => Err(store_failure(step, &error)),
        }
    }

    /// What is shown.
    fn progress(&self) -> Progress {
        let floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.own_progress().raised_to(&floor)
    }

    /// What this copy has of what was copied.
    fn own_progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An earlier attempt came so far: what is shown does not go back behind it.
    fn go_on_from(&self, floor: Progress) {
        *self.floor.lock().unwrap_or_else(PoisonError::into_inner) = floor;
    }

    fn set_progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Claims the copy that is this worker's next; the work is one attempt of it. When the database fails the lease runs out
/// and it is taken up again.
///
/// # Errors
/// The database failed.
pub async fn take_copy(context: Arc<WorkerContext>) -> Result<Option<BoxFuture<'static, ()>>, StoreError> {
    let claimed_at = Instant::now();
    let claimed = context.store.take_copy(&context.taker(&context.store_ids())).await?;
    Ok(claimed.map(|claimed| copy_backup(context, claimed, claimed_at).boxed()))
}

async fn copy_backup(context: Arc<WorkerContext>, claimed: Claimed<BackupCopyId>, claimed_at: Instant) {
    let id = claimed.id;
    let claim = Claim { team_id: claimed.team_id, leased: Leased::Copy(id), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    let limit = context.config.worker.max_run;
    lease.end_within(limit, limit);
    let job = Job {
        access: Access::system(claimed.team_id, "copy a backup"),
        context,
        id,
        epoch: claimed.epoch,
        lease,
        progress: Mutex::default(),
        floor: Mutex::default(),
        written: Mutex::default(),
    };
    let span = tracing::info_span!("backup_copy", copy = %id, team = %claimed.team_id, epoch = job.epoch);
    let work = async {
        tracing::info!(attempt = claimed.attempt, "copy begins");
        let ended = AssertUnwindSafe(attempt::attempt(&job)).catch_unwind().await.unwrap_or_else(|_| Err(panicked()));
        if let Err(error) = ending::write(&job, claimed.attempt, ended).await {
            tracing::error!(?error, "the end of a copy could not be written");
        }
    };
    work.instrument(span).await;
}

fn panicked() -> Failure {
    Failure::new(Step::Prepare, FailureCode::Internal, "The worker met a fault of its own.")
}
