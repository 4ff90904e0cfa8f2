//! Applies a task's retention rule after a commit, and deletes the objects of what is marked as going.
//!
//! Nothing here may touch an object before its copy is marked, call a copy deleted before every recorded object of it is
//! gone, or take an object that is not recorded. A store that this worker does not hold is offline, never empty. All of it
//! may be repeated: what is gone already is fine.

use crate::context::WorkerContext;
use crate::faults::FaultPoint;
use crate::lease::{Lease, StopReason};
use crate::places;
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupRunId, BackupTaskId};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::repositories::prunes::DoomedCopy;
use holdfast_store::repositories::retention::{Applied, rule_of};
use holdfast_store::{Access, StoreError, TeamTx, rows};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The first pause after a round that could not delete everything; it doubles with each.
const PAUSE_SECS: f64 = 30.0;
/// And ends growing here.
const PAUSE_MAX_SECS: f64 = 3600.0;
/// Between two tries of a worker that does not hold the store.
const HAND_OVER_AFTER: Duration = Duration::from_millis(300);

/// One claimed prune.
struct Prune {
    context: Arc<WorkerContext>,
    access: Access,
    task: BackupTaskId,
    epoch: i32,
    lease: Lease,
}

/// What a round came to.
#[derive(Default)]
struct Swept {
    deleted: u64,
    /// Copies that another living worker can delete.
    elsewhere: u64,
    /// Why others are still there, one a destination.
    failures: BTreeMap<BackupDestinationId, Failure>,
}

/// Does what is wanted of `task`'s prune, if nobody else is at it.
pub async fn prune_task(context: Arc<WorkerContext>, task: BackupTaskId) {
    let claimed_at = Instant::now();
    let lease_secs = context.config.worker.lease.as_secs_f64();
    let claim = match context.store.claim_prune(task, &context.name, lease_secs).await {
        Ok(Some(claim)) => claim,
        Ok(None) => return tracing::debug!(%task, "nothing to prune, or another worker is at it"),
        Err(error) => return tracing::warn!(%task, ?error, "a prune could not be claimed"),
    };
    let held = Claim { team_id: claim.team_id, leased: Leased::Prune(task), epoch: claim.epoch };
    let lease = context.leases.hold(held, claimed_at);
    let access = Access::system(claim.team_id, "prune");
    let prune = Prune { context, access, task, epoch: claim.epoch, lease };
    if let Err(error) = prune.work().await {
        tracing::warn!(%task, ?error, "a prune broke off; the reconciler takes it up");
    }
}

impl Prune {
    async fn work(&self) -> Result<(), StoreError> {
        let Some(row) = self.apply_rule().await? else { return Ok(()) };
        self.context.faults.reach(FaultPoint::PrunePlanned).await;
        let swept = self.sweep().await?;
        match self.lease.reason() {
            // The next holder goes on.
            Some(StopReason::Fenced | StopReason::DatabaseLost) => return Ok(()),
            _ if swept.deleted == 0 && swept.elsewhere > 0 => tokio::time::sleep(HAND_OVER_AFTER).await,
            _ => {}
        }
        self.finish(&row, &swept).await
    }

    /// Marks what the rule takes, once after each commit. None when the claim is not ours any more.
    async fn apply_rule(&self) -> Result<Option<rows::prunes::Model>, StoreError> {
        let tx = self.context.store.for_team(&self.access).await?;
        let Some(row) = tx.prunes().held(self.task, self.epoch).await? else { return Ok(None) };
        // The rule of a deleted task does not hold any more: its backups stay.
        let task = tx.sealed().task(self.task).await?.filter(|task| row.is_plan_due && task.deleted_at.is_none());
        if let Some(task) = task {
            let applied = tx.retention().apply(self.task, &rule_of(&task)).await?;
            if applied.recycled + applied.deleted > 0 {
                self.say(&tx, row.backup_run_id, &told(&tx, &applied).await?).await?;
                let details = json!({"recycled": applied.recycled, "deleted": applied.deleted, "rule": rule_of(&task)});
                tx.audit_events().record("backup_task.prune", &format!("backup_tasks:{}", self.task), details).await?;
            }
            self.tell_refused(&tx, &applied).await?;
        }
        tx.prunes().planned(self.task, self.epoch).await?;
        tx.commit().await?;
        Ok(Some(row))
    }

    /// Tells of copies that would have gone by the rule and stay because nothing newer is as good: once for the newest of
    /// them, not again after every run.
    async fn tell_refused(&self, tx: &TeamTx, applied: &Applied) -> Result<(), StoreError> {
        let refused: Vec<_> = applied.planned.iter().filter(|planned| planned.decision.verdict.is_refused()).collect();
        let Some(newest) = refused.iter().map(|planned| planned.decision.backup_id).max() else { return Ok(()) };
        let reason = match refused.len() {
            1 => "1 copy stays that the rule would have taken: no newer one is as good.".to_owned(),
            count => format!("{count} copies stay that the rule would have taken: no newer ones are as good."),
        };
        let id = format!("task_{}_prune_refused_{newest}", self.task);
        tx.tell_prune_refused(self.task, id, (reason, Vec::new())).await
    }

    /// Deletes what is marked, one copy after another. A destination that fails is left alone for this round.
    async fn sweep(&self) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        let mut left_alone = BTreeSet::new();
        let mut after = BackupCopyId(0);
        while !self.lease.stopped().is_cancelled() {
            // No transaction is open while a destination is spoken to.
            let tx = self.context.store.for_team(&self.access).await?;
            let team = tx.sealed().team().await?.uuid;
            let Some(doomed) = tx.prunes().next_doomed(self.task, after).await? else { break };
            tx.commit().await?;
            let copy = BackupCopyId(doomed.copy.id);
            let destination = BackupDestinationId(doomed.destination.id);
            after = copy;
            if left_alone.contains(&destination) {
                continue;
            }
            let Err(failure) = self.delete(team, &doomed).await else {
                self.context.faults.reach(FaultPoint::PruneDeleted).await;
                let tx = self.context.store.for_team(&self.access).await?;
                swept.deleted += u64::from(tx.prunes().mark_deleted(copy).await?);
                tx.commit().await?;
                continue;
            };
            if self.lease.stopped().is_cancelled() {
                break;
            }
            left_alone.insert(destination);
            if failure.code == FailureCode::StoreOffline && self.another_holds(&doomed).await? {
                swept.elsewhere += 1;
                continue;
            }
            tracing::warn!(task = %self.task, %copy, "a copy is still there: {failure}");
            let tx = self.context.store.for_team(&self.access).await?;
            tx.prunes().note_failed(copy, &failure).await?;
            tx.commit().await?;
            swept.failures.insert(destination, failure);
        }
        Ok(swept)
    }

    /// Deletes the recorded objects of a copy, the manifest first: from then on nobody can take for whole what is not.
    async fn delete(&self, team: uuid::Uuid, doomed: &DoomedCopy) -> Result<(), Failure> {
        let row = &doomed.destination;
        if row.r#type == "local" && row.store_id.is_none() {
            let detail = "The destination is bound to no store, so nothing can be said of what lies in it.";
            return Err(Failure::new(Step::Prepare, FailureCode::StoreOffline, detail));
        }
        let destination = places::open_destination(&self.context, team, row)?;
        for (position, object) in doomed.objects.iter().enumerate() {
            self.lease.guard(Step::FinishDestination, destination.delete(&object.name)).await?;
            if position == 0 {
                self.context.faults.reach(FaultPoint::PruneHalf).await;
            }
        }
        Ok(())
    }

    async fn another_holds(&self, doomed: &DoomedCopy) -> Result<bool, StoreError> {
        let store_ids = doomed.destination.store_id.iter().cloned().collect();
        self.context.store.is_held_elsewhere(store_ids, &self.context.name).await
    }

    async fn finish(&self, row: &rows::prunes::Model, swept: &Swept) -> Result<(), StoreError> {
        let tx = self.context.store.for_team(&self.access).await?;
        let mut lines = Vec::new();
        if swept.deleted > 0 {
            lines.push(format!("Retention: {} deleted.", counted(swept.deleted, "copy was", "copies were")));
        }
        // Once, and not again with every try.
        if row.failures == 0 {
            for (id, failure) in &swept.failures {
                let label = label(&tx, *id).await?;
                lines.push(format!(
                    "Retention: copies at {label:?} could not be deleted yet and are tried again: {failure}"
                ));
            }
        }
        self.say(&tx, row.backup_run_id, &lines).await?;
        if row.failures == 0 && !swept.failures.is_empty() {
            let reason = "Copies that should go could not be deleted yet; it is tried again.".to_owned();
            let id = format!("task_{}_undeleted_{}", self.task, row.requests);
            tx.tell_prune_refused(self.task, id, (reason, lines)).await?;
        }
        let delay = (!swept.failures.is_empty()).then(|| pause_secs(row.failures));
        tx.prunes().finish(self.task, self.epoch, delay).await?;
        tx.commit().await
    }

    /// Writes into the log of the run after which this prune came.
    async fn say(&self, tx: &TeamTx, run: Option<i64>, lines: &[String]) -> Result<(), StoreError> {
        let Some(run) = run.map(BackupRunId) else { return Ok(()) };
        match tx.backup_runs().find(run).await? {
            Some(row) => tx.append_run_lines(run, row.epoch, lines).await,
            None => Ok(()),
        }
    }
}

/// One line a destination where something goes.
async fn told(tx: &TeamTx, applied: &Applied) -> Result<Vec<String>, StoreError> {
    let mut counts: BTreeMap<BackupDestinationId, (u64, u64)> = BTreeMap::new();
    for planned in &applied.planned {
        let count = counts.entry(planned.destination_id).or_default();
        *(if planned.decision.verdict.keeps() { &mut count.0 } else { &mut count.1 }) += 1;
    }
    let mut lines = Vec::new();
    for (id, (staying, going)) in counts.into_iter().filter(|(_, (_, going))| *going > 0) {
        let (label, where_to) =
            (label(tx, id).await?, if applied.recycled > 0 { "into the recycle bin" } else { "for good" });
        let (staying, going) = (counted(staying, "copy stays", "copies stay"), counted(going, "goes", "go"));
        lines.push(format!("Retention at {label:?}: {staying}, {going} {where_to}."));
    }
    Ok(lines)
}

async fn label(tx: &TeamTx, id: BackupDestinationId) -> Result<String, StoreError> {
    Ok(tx.sealed().destination(id).await?.map(|row| row.label).unwrap_or_default())
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn pause_secs(failures: i32) -> f64 {
    (PAUSE_SECS * f64::from(failures.clamp(0, 16)).exp2()).min(PAUSE_MAX_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_growing() {
        let pauses: Vec<f64> = [0, 1, 2, 6, 7, 1000, -3].into_iter().map(pause_secs).collect();
        assert_eq!(pauses, [30.0, 60.0, 120.0, 1920.0, 3600.0, 3600.0, 30.0]);
    }
}
