//! One attempt: the copies are tried in order until one proves whole.

use super::prepare::{Prepared, prepare};
use super::source::StreamSource;
use super::{Job, Stop, pump, source, target};
use crate::{copy_reader, server};
use holdfast_domain::restore::RestoreTo;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_sources::stream::Restored;
use holdfast_store::repositories::copies::CopyToRead;

/// Restores from the first copy that can be read.
pub async fn attempt(job: &Job) -> Result<Restored, Stop> {
    let prepared = prepare(job).await?;
    let mut last: Stop =
        Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, "The backup has no copy that can be read.").into();
    for copy in prepared.copies() {
        match from_copy(job, &prepared, copy).await {
            Err(stop) if !stop.is_placing && is_the_copys_fault(stop.failure.code) => {
                note_unreadable(job, copy, &stop.failure).await;
                last = stop;
            }
            ended => return ended,
        }
    }
    Err(last)
}

/// Whether another copy of the same backup can end better.
fn is_the_copys_fault(code: FailureCode) -> bool {
    use FailureCode::{
        CopyDamaged, DestinationFailed, DestinationMissing, DestinationRefused, DestinationUnsupported,
        ManifestInvalid, StoreOffline,
    };
    matches!(
        code,
        CopyDamaged
            | ManifestInvalid
            | StoreOffline
            | DestinationFailed
            | DestinationRefused
            | DestinationMissing
            | DestinationUnsupported
    )
}

async fn from_copy(job: &Job, prepared: &Prepared, copy: &CopyToRead) -> Result<Restored, Stop> {
    let (context, spec) = (job.context.as_ref(), &prepared.spec);
    job.enter(RunStatus::Running, Step::ReadCopy).await?;
    let opened = async {
        let only = spec.streams.first().map(String::as_str);
        let open = copy_reader::open_stream(context, &job.access, (&prepared.backup, copy), only).await?;
        let mut stream = source::open(prepared, &open).await?;
        // Before the server is even connected: a wrong password or a damaged beginning costs nobody anything.
        let first = stream.bytes.next().await?;
        Ok((stream, first))
    };
    let (stream, first) = job.lease.guard(Step::ReadCopy, opened).await?;
    let StreamSource { mut bytes, size_bytes, kind } = stream;
    job.gauge.restart(size_bytes);
    job.enter(RunStatus::Running, Step::Connect).await?;
    let connecting = server::connect(context, &job.access, &prepared.server, &prepared.way);
    let session = job.lease.guard(Step::Connect, connecting).await?;
    job.enter(RunStatus::Running, Step::Stage).await?;
    let writer = job.lease.guard(Step::Stage, target::open(job, prepared, session, kind)).await?;
    if spec.dry_run && matches!(spec.target, RestoreTo::Database(_)) {
        // A dump cannot be unpacked beside its target: the target was looked at, and now the copy is read to its end.
        let report = writer.finish().await?;
        pump::drain(job, first, &mut bytes).await?;
        return Ok(report);
    }
    if writer.changes_what_existed()
        && let Err(failure) = job.touch().await
    {
        let process_terminated = Some(writer.abort().await);
        return Err(Stop { failure, is_placing: false, process_terminated });
    }
    let writer = pump::pump(job, first, &mut bytes, writer).await?;
    if let Err(failure) = job.enter(RunStatus::Verifying, Step::Place).await {
        let process_terminated = Some(writer.abort().await);
        return Err(Stop { failure, is_placing: false, process_terminated });
    }
    // From here on nothing is dropped half-way: taking effect ends, well or badly, and is not repeated.
    let report = writer.finish().await.map_err(|failure| {
        let is_placing = failure.step == Step::Place || failure.code == FailureCode::TargetIncomplete;
        Stop { failure, is_placing, process_terminated: None }
    })?;
    job.gauge.set(|p| p.nfiles = report.entries);
    Ok(report)
}

async fn note_unreadable(job: &Job, copy: &CopyToRead, failure: &Failure) {
    tracing::warn!(restore = %job.id, copy = copy.copy.id, "a copy cannot be read: {failure}");
    let noted = async {
        let tx = job.context.store.for_team(&job.access).await?;
        tx.copies().note_unreadable(copy.copy.id, failure).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::warn!(restore = %job.id, %error, "a copy's failure could not be noted");
    }
}
