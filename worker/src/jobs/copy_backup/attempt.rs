//! One attempt: the copies are tried in order until one proves whole.

use super::{Job, choose, moving};
use crate::secrets::store_failure;
use crate::{cleanup, copy_reader, places};
use holdfast_destinations::Destination;
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupId, BackupRunId};
use holdfast_domain::progress::Progress;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::copies::{BackupToRead, CopyToRead};
use holdfast_store::rows;
use std::sync::Arc;

/// What an attempt works from.
pub(super) struct Prepared {
    pub(super) backup: BackupToRead,
    to: rows::backup_destinations::Model,
}

/// Makes every object and reads it back; what is left to do is the commit.
pub(super) async fn attempt(job: &Job) -> Result<(), Failure> {
    job.enter(Step::Prepare).await?;
    let prepared = prepare(job).await?;
    let sources = choose::sources(job, &prepared.backup.copies, &prepared.to)?;
    let to = open(job, &prepared).await?;
    nothing_of_the_run(job, &prepared).await?;
    let mut last = Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, "The backup has no copy that can be read.");
    for source in sources {
        match from_copy(job, &prepared, source, &to).await {
            Err(failure) if is_the_sources_fault(&failure) => {
                tracing::warn!(copy = source.copy.id, "a copy cannot be read: {failure}");
                last = failure;
            }
            ended => return ended,
        }
    }
    Err(last)
}

/// Whether another copy of the same backup can end better.
fn is_the_sources_fault(failure: &Failure) -> bool {
    failure.step == Step::ReadCopy && failure.code != FailureCode::Cancelled && failure.code != FailureCode::LeaseLost
}

async fn prepare(job: &Job) -> Result<Prepared, Failure> {
    let read = async {
        let tx = job.context.store.for_team(&job.access).await?;
        let row = tx.copy_execution(job.id, job.epoch).load().await?;
        let Some(row) = row else { return Ok(None) };
        job.go_on_from(serde_json::from_value(row.progress.clone()).unwrap_or_default());
        let backup = tx.copies().of(BackupId(row.backup_id)).await?;
        let to = tx.sealed().destination(BackupDestinationId(row.backup_destination_id)).await?;
        let team = tx.sealed().team().await?;
        tx.commit().await?;
        Ok(Some((backup, to, team)))
    };
    let found = read.await.map_err(|error| store_failure(Step::Prepare, &error))?;
    let (backup, to, team) = found.ok_or_else(|| job.lease.failure(Step::Prepare))?;
    let gone = |what: &str| Failure::new(Step::Prepare, FailureCode::NotAuthorised, what);
    if team.suspended_at.is_some() {
        return Err(gone("The team is suspended."));
    }
    let backup = backup.ok_or_else(|| gone("The backup was deleted."))?;
    let to = to.filter(|row| row.deleted_at.is_none()).ok_or_else(|| gone("The destination was deleted."))?;
    Ok(Prepared { backup, to })
}

async fn open(job: &Job, prepared: &Prepared) -> Result<Arc<dyn Destination>, Failure> {
    let (context, row) = (&job.context, &prepared.to);
    let destination = places::open_destination(context, prepared.backup.team_uuid, row)?;
    let root = context.local_root.as_ref().filter(|_| row.r#type == "local" && row.store_id.is_none());
    let Some(root) = root else { return Ok(destination) };
    let binding = async {
        let tx = context.store.for_team(&job.access).await?;
        let is_ours = tx.sealed().bind_store(BackupDestinationId(row.id), &root.store_id().to_string()).await?;
        tx.commit().await?;
        Ok(is_ours)
    };
    if binding.await.map_err(|error| store_failure(Step::Prepare, &error))? {
        return Ok(destination);
    }
    let detail = "Another worker's store was just given to the destination.";
    Err(Failure::new(Step::Prepare, FailureCode::StoreOffline, detail))
}

/// What the run itself left at the destination has the same names: it must be gone first, and nobody be at removing it.
async fn nothing_of_the_run(job: &Job, prepared: &Prepared) -> Result<(), Failure> {
    let run = BackupRunId(prepared.backup.backup.backup_run_id);
    let cleaning = async {
        cleanup::remove_leftovers(&job.context, &job.access, run).await?;
        let tx = job.context.store.for_team(&job.access).await?;
        let is_left = tx.has_run_leftovers_at(run, BackupDestinationId(prepared.to.id)).await?;
        tx.commit().await?;
        Ok(is_left)
    };
    if cleaning.await.map_err(|error| store_failure(Step::Prepare, &error))? {
        let detail = "What the run left unfinished at the destination could not be removed yet.";
        return Err(Failure::new(Step::Prepare, FailureCode::DestinationFailed, detail));
    }
    Ok(())
}

async fn from_copy(
    job: &Job,
    prepared: &Prepared,
    source: &CopyToRead,
    to: &Arc<dyn Destination>,
) -> Result<(), Failure> {
    let reading = copy_reader::open(&job.context, &job.access, &prepared.backup, source);
    let open = job.lease.guard(Step::ReadCopy, reading).await?;
    let from = places::open_destination(&job.context, prepared.backup.team_uuid, &source.destination)?;
    record(job, BackupCopyId(source.copy.id)).await?;
    job.go_on_from(job.progress());
    let total = source.objects.iter().map(moving::size_bytes).sum();
    job.set_progress(|progress| *progress = Progress { total_expected_size: Some(total), ..Progress::default() });
    // The manifest last: it is what makes a copy.
    let (manifests, parts): (Vec<_>, Vec<_>) = source.objects.iter().partition(|object| object.kind == "manifest");
    let work = async {
        for object in parts {
            moving::bring(job, from.as_ref(), to.as_ref(), object).await?;
        }
        job.enter(Step::Verify).await?;
        moving::verify(job, &prepared.backup, &open.manifest, to.as_ref()).await?;
        job.enter(Step::Commit).await?;
        for object in manifests {
            moving::bring(job, from.as_ref(), to.as_ref(), object).await?;
        }
        Ok(())
    };
    job.lease.guard(Step::Stream, work).await
}

async fn record(job: &Job, from: BackupCopyId) -> Result<(), Failure> {
    let recording = async {
        let tx = job.context.store.for_team(&job.access).await?;
        let is_ours = tx.copy_execution(job.id, job.epoch).record_objects(from).await?;
        tx.commit().await?;
        Ok(is_ours)
    };
    if recording.await.map_err(|error| store_failure(Step::Stream, &error))? {
        return Ok(());
    }
    Err(job.lease.failure(Step::Stream))
}
