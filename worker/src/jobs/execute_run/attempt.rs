//! One attempt: what it holds, and its way to the database.

use super::journal::Journal;
use super::objects::Noted;
use super::scripts::RunScripts;
use crate::context::WorkerContext;
use crate::faults::FaultPoint;
use crate::lease::Lease;
use crate::secrets::store_failure;
use futures_util::future::BoxFuture;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, Step};
use holdfast_store::taking::Claimed;
use holdfast_store::{Access, StoreError, TeamTx};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two tries of a statement while the database is away.
const DATABASE_PAUSE: Duration = Duration::from_millis(250);

/// One attempt of a run.
pub(super) struct Attempt {
    pub(super) context: Arc<WorkerContext>,
    pub(super) access: Access,
    pub(super) lease: Lease,
    pub(super) run_id: BackupRunId,
    pub(super) epoch: i32,
    /// From 1.
    pub(super) number: i32,
    pub(super) journal: Journal,
    /// Cancelled once it is known that another worker is the right one for this run.
    pub(super) is_for_another: CancellationToken,
    /// Once they are known; none for a task without scripts.
    pub(super) scripts: OnceLock<RunScripts>,
    noted: Mutex<Vec<Noted>>,
    /// Destinations that take nothing, and why.
    lost: Mutex<BTreeMap<i64, Failure>>,
    program_is_gone: Mutex<Option<bool>>,
}

impl Attempt {
    pub(super) fn new(context: Arc<WorkerContext>, lease: Lease, claimed: Claimed<BackupRunId>) -> Self {
        Self {
            context,
            access: Access::system(claimed.team_id, "execute a run"),
            lease,
            run_id: claimed.id,
            epoch: claimed.epoch,
            number: claimed.attempt,
            journal: Journal::default(),
            is_for_another: CancellationToken::new(),
            scripts: OnceLock::new(),
            noted: Mutex::default(),
            lost: Mutex::default(),
            // None was started; but what an earlier attempt started may still run behind a link that broke.
            program_is_gone: Mutex::new((claimed.attempt == 1).then_some(true)),
        }
    }

    /// Adds a sentence to the run's log.
    pub(super) fn say(&self, line: impl Into<String>) {
        self.journal.say(line.into());
    }

    /// A source that sends nothing for so long has stalled.
    pub(super) fn stall(&self) -> Duration {
        self.context.config.worker.stall
    }

    pub(super) async fn reach(&self, point: FaultPoint) {
        self.context.faults.reach(point).await;
    }

    /// Enters a step, as the run shows it.
    pub(super) async fn enter(&self, status: RunStatus, step: Step) -> Result<(), Failure> {
        let (id, epoch) = (self.run_id, self.epoch);
        let held = self
            .in_tx(step, move |tx| Box::pin(async move { tx.run_execution(id, epoch).enter(status, step).await }))
            .await?;
        if held { Ok(()) } else { Err(self.lease.failure(step)) }
    }

    /// Does `work` in a transaction of the run's team, again and again while the database is away, but not beyond the
    /// lease. `work` may run more than once.
    ///
    /// # Errors
    /// The work must stop, or the database did not come back.
    pub(super) async fn in_tx<T: Send>(
        &self,
        step: Step,
        work: impl for<'a> Fn(&'a TeamTx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync,
    ) -> Result<T, Failure> {
        self.lease.guard(step, self.in_tx_unguarded(step, work)).await
    }

    /// As [`Attempt::in_tx`], also after the lease's token said stop: for the writes that end an attempt.
    pub(super) async fn in_tx_unguarded<T: Send>(
        &self,
        step: Step,
        work: impl for<'a> Fn(&'a TeamTx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        loop {
            let error = match self.try_tx(&work).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let is_lasting = matches!(error, StoreError::Inconsistent { .. } | StoreError::Duplicate(_));
            if is_lasting || begun.elapsed() > self.context.config.worker.lease {
                return Err(store_failure(step, &error));
            }
            tokio::time::sleep(DATABASE_PAUSE).await;
        }
    }

    async fn try_tx<T: Send>(
        &self,
        work: &(impl for<'a> Fn(&'a TeamTx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync),
    ) -> Result<T, StoreError> {
        let tx = self.context.store.for_team(&self.access).await?;
        let value = work(&tx).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Whether the run goes on once its backup is recorded.
    pub(super) fn has_success_scripts(&self) -> bool {
        self.scripts.get().is_some_and(RunScripts::has_success)
    }

    /// Writes log and progress from time to time until `done`.
    pub(super) async fn keep_journal(&self, done: &CancellationToken) {
        self.journal.keep(self, done).await;
    }

    pub(super) fn remember(&self, noted: Noted) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
    }

    /// Notes that a destination takes nothing of this attempt.
    pub(super) fn lost(&self, destination: i64, why: &Failure) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(destination, why.clone());
    }

    /// Destinations that took nothing, in the order of their ids.
    pub(super) fn lost_destinations(&self) -> BTreeMap<i64, Failure> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Objects that this attempt has recorded and not removed.
    pub(super) fn take_noted(&self) -> Vec<Noted> {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nothing of this attempt runs on the server; none = unknown.
    pub(super) fn program_is_gone(&self) -> Option<bool> {
        *self.program_is_gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_program_is_gone(&self, is_gone: Option<bool>) {
        *self.program_is_gone.lock().unwrap_or_else(PoisonError::into_inner) = is_gone;
    }
}
