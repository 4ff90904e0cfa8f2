//! Giving a backup back to a server. A path or a new database takes effect only after everything that goes there was
//! checked: the stream's own hash, what it holds, and that this worker still holds the lease. What failed before that left
//! nothing and may be tried again; what failed while taking effect is never repeated by itself. An existing database whose
//! engine cannot undo is changed while the stream arrives: that is recorded before its first byte, so that no ending
//! forgets it.

mod attempt;
mod ending;
mod gauge;
mod prepare;
mod pump;
mod source;
mod target;

use crate::context::WorkerContext;
use crate::lease::Lease;
use crate::secrets::store_failure;
use gauge::Gauge;
use holdfast_domain::ids::RestoreId;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, Step};
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::{Access, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tracing::Instrument;

/// An attempt that ended without a restore.
#[derive(Debug)]
struct Stop {
    failure: Failure,
    /// Whether something may already stand at the target: then nothing is tried again by itself.
    is_placing: bool,
    /// Whether the program on the server was seen gone, where there was one to stop.
    process_terminated: Option<bool>,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure, is_placing: false, process_terminated: None }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        store_failure(Step::Prepare, &error).into()
    }
}

/// One claimed restore.
struct Job {
    context: Arc<WorkerContext>,
    access: Access,
    id: RestoreId,
    epoch: i32,
    lease: Lease,
    gauge: Gauge,
    /// Whether this or an earlier attempt changed something that existed.
    touched: AtomicBool,
}

impl Job {
    /// Notes, before the first byte, that something that existed is changed; an error when the lease is lost.
    async fn touch(&self) -> Result<(), Failure> {
        let noted = async {
            let tx = self.context.store.for_team(&self.access).await?;
            let is_ours = tx.restore_execution(self.id, self.epoch).note_touched().await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(is_ours)
        };
        match noted.await {
            Ok(true) if !self.lease.stopped().is_cancelled() => {
                self.was_touched();
                Ok(())
            }
            Ok(_) => Err(self.lease.failure(Step::Stage)),
            Err(error) => Err(store_failure(Step::Stage, &error)),
        }
    }

    fn was_touched(&self) {
        self.touched.store(true, Ordering::Release);
    }

    fn has_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    /// Notes that `step` begins; an error when the lease is lost.
    async fn enter(&self, status: RunStatus, step: Step) -> Result<(), Failure> {
        let entered = async {
            let tx = self.context.store.for_team(&self.access).await?;
            let is_ours = tx.restore_execution(self.id, self.epoch).enter(status, step).await?;
            tx.commit().await?;
            Ok::<bool, StoreError>(is_ours)
        };
        match entered.await {
            Ok(true) if !self.lease.stopped().is_cancelled() => Ok(()),
            Ok(_) => Err(self.lease.failure(step)),
            Err(error) => Err(store_failure(step, &error)),
        }
    }
}

/// Claims the restore and executes one attempt of it. One that is over, taken, not due or cancelled is left alone; when
/// the database fails the lease runs out and the restore is taken up again.
pub async fn execute_restore(context: Arc<WorkerContext>, id: RestoreId) {
    let claimed_at = Instant::now();
    let lease_secs = context.config.worker.lease.as_secs_f64();
    let claimed = match context.store.claim_restore(id, &context.name, lease_secs, context.max_attempts()).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(restore = %id, ?error, "a restore could not be claimed");
            return;
        }
    };
    let _counted = context.count_running();
    let claim = Claim { team_id: claimed.team_id, leased: Leased::Restore(id), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    let access = Access::system(claimed.team_id, "execute_restore");
    let job = Job {
        context,
        access,
        id,
        epoch: claimed.epoch,
        lease,
        gauge: Gauge::default(),
        touched: AtomicBool::new(false),
    };
    let span = tracing::info_span!("restore", restore = %id, team = %claimed.team_id, epoch = job.epoch);
    let work = async {
        tracing::info!(attempt = claimed.attempt, "restore begins");
        let ended = attempt::attempt(&job).await;
        if let Err(error) = ending::write(&job, claimed.attempt, ended).await {
            tracing::error!(?error, "the end of a restore could not be written");
        }
    };
    work.instrument(span).await;
}
