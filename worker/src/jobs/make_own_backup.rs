//! A copy of the product's own database to a destination of the operator's team. One attempt; the operator sees how it
//! ended and asks again. `succeeded` is written only after the destination has the object whole under its name.

use crate::context::WorkerContext;
use crate::lease::{Lease, StopReason};
use crate::places;
use crate::reconcile::stray_own_backups::remove_object;
use crate::secrets::store_failure;
use bytes::Bytes;
use holdfast_destinations::Destination;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::Sink;
use holdfast_store::lease::{Claim, Leased};
use holdfast_store::{Access, StoreError, TeamTx, rows};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pieces between the database and the destination.
const QUEUE: usize = 8;

/// A database of millions of rows is copied in minutes; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(3600);

/// One claimed copy.
struct OwnCopy {
    context: Arc<WorkerContext>,
    access: Access,
    lease: Lease,
    id: OwnBackupId,
}

/// Claims the copy and makes it. One that is over or taken is left alone.
pub async fn make_own_backup(context: Arc<WorkerContext>, id: OwnBackupId) {
    let claimed_at = Instant::now();
    let lease_secs = context.config.worker.lease.as_secs_f64();
    let claimed = match context.store.claim_own_backup(id, &context.name, lease_secs).await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(own_backup = %id, ?error, "a copy of the own database could not be claimed");
            return;
        }
    };
    let claim = Claim { team_id: claimed.team_id, leased: Leased::OwnBackup(id), epoch: claimed.epoch };
    let lease = context.leases.hold(claim, claimed_at);
    let access = Access::system(claimed.team_id, "a copy of the own database");
    let job = OwnCopy { context, access, lease, id };
    let ended = match tokio::time::timeout(LIMIT, job.make()).await {
        Ok(ended) => ended,
        Err(_) => Err(Failure::new(Step::Stream, FailureCode::TimedOut, "The copy took longer than an hour.")),
    };
    if let Err(error) = job.end(ended).await {
        tracing::error!(own_backup = %id, ?error, "the end of a copy of the own database could not be written");
    }
}

impl OwnCopy {
    async fn make(&self) -> Result<Digest, Failure> {
        let own = self.context.own_database.as_ref().ok_or_else(|| {
            let detail = "This worker has no log-in that reads the whole database.";
            Failure::new(Step::Prepare, FailureCode::OwnDatabaseClosed, detail)
        })?;
        let (row, destination) = self.place().await?;
        let mut sink = self.lease.guard(Step::Stream, destination.put(&row.object_name)).await?;
        let (sender, pieces) = mpsc::channel(QUEUE);
        let stream = async {
            let (read, written) = tokio::join!(own.copy(&row.recipients, sender), write(sink.as_mut(), pieces));
            // Where the destination failed, that the reading ended is only its effect.
            written.and(read)
        };
        if let Err(failure) = self.lease.guard(Step::Stream, stream).await {
            sink.abort().await;
            return Err(failure);
        }
        // Committed whatever becomes of the lease meanwhile: half a commit is harder to remove than a whole one.
        Ok(sink.commit().await?.digest)
    }

    /// The row, and the open destination that it names.
    async fn place(&self) -> Result<(rows::own_backups::Model, Arc<dyn Destination>), Failure> {
        let (row, team, place) = self.read().await.map_err(|e| store_failure(Step::Prepare, &e))?;
        let mut place = place
            .ok_or_else(|| Failure::new(Step::Prepare, FailureCode::NotAuthorised, "The destination was deleted."))?;
        if let (None, "local", Some(root)) = (&place.store_id, place.r#type.as_str(), &self.context.local_root) {
            // Before anything lies there: what lies in a store that nobody noted cannot be found again.
            let store_id = root.store_id().to_string();
            self.bind(place.id, &store_id).await.map_err(|e| store_failure(Step::Prepare, &e))?;
            place.store_id = Some(store_id);
        }
        Ok((row, places::open_destination(&self.context, team.uuid, &place)?))
    }

    async fn read(&self) -> Result<Found, StoreError> {
        let tx = self.context.store.for_team(&self.access).await?;
        let found = find(&tx, self.id).await?;
        tx.commit().await?;
        Ok(found)
    }

    async fn bind(&self, destination: i64, store_id: &str) -> Result<(), StoreError> {
        let tx = self.context.store.for_team(&self.access).await?;
        tx.sealed().bind_store(BackupDestinationId(destination), store_id).await?;
        tx.commit().await
    }

    /// Writes how it ended. What is not a success is removed from the destination, or stays recorded for a later round.
    async fn end(&self, ended: Result<Digest, Failure>) -> Result<(), StoreError> {
        let (id, epoch) = (self.id, self.lease.claim().epoch);
        let is_for_another = match &ended {
            Err(failure) if failure.code == FailureCode::StoreOffline => self.is_held_elsewhere().await?,
            _ => false,
        };
        let tx = self.context.store.for_team(&self.access).await?;
        let is_ours = match &ended {
            Ok(digest) => tx.own_backups().succeed(id, epoch, digest).await?,
            Err(_) if self.lease.reason() == Some(StopReason::Fenced) => false,
            Err(_) if is_for_another => tx.own_backups().hand_back(id, epoch).await?,
            Err(failure) => tx.own_backups().fail(id, epoch, failure).await?,
        };
        tx.commit().await?;
        match &ended {
            Ok(digest) if is_ours => {
                tracing::info!(own_backup = %id, bytes = digest.size_bytes, "the own database was copied");
                return Ok(());
            }
            Ok(_) => tracing::warn!(own_backup = %id, "a copy of the own database came too late and is removed"),
            Err(_) if is_for_another => tracing::info!(own_backup = %id, "another worker holds the store"),
            Err(failure) => tracing::warn!(own_backup = %id, "the own database was not copied: {failure}"),
        }
        remove_object(&self.context, &self.access, id).await
    }

    async fn is_held_elsewhere(&self) -> Result<bool, StoreError> {
        let (_, _, place) = self.read().await?;
        let store_ids = place.and_then(|place| place.store_id).into_iter().collect();
        self.context.store.is_held_elsewhere(store_ids, &self.context.name).await
    }
}

type Found = (rows::own_backups::Model, rows::teams::Model, Option<rows::backup_destinations::Model>);

async fn find(tx: &TeamTx, id: OwnBackupId) -> Result<Found, StoreError> {
    let row = tx.own_backups().find(id).await?.ok_or_else(|| StoreError::Inconsistent {
        table: "own_backups",
        id: id.to_string(),
        problem: "a claimed row is gone".to_owned(),
    })?;
    let team = tx.sealed().team().await?;
    let place = tx.sealed().destination(BackupDestinationId(row.backup_destination_id)).await?;
    Ok((row, team, place.filter(|place| place.deleted_at.is_none())))
}

async fn write(sink: &mut dyn Sink, mut pieces: mpsc::Receiver<Bytes>) -> Result<(), Failure> {
    while let Some(piece) = pieces.recv().await {
        sink.write(piece).await?;
    }
    Ok(())
}
