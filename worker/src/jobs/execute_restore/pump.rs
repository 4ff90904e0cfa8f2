//! Moving the bytes: from the copy to the program on the server, until the stream proved itself.

use super::{Job, Stop};
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::ByteStream;
use holdfast_sources::stream::StreamWriter;

/// Sends everything. When this returns `Ok` the stream was whole, and the writer may have it take effect; in every other
/// case the writer is aborted, which takes back what can be taken back.
pub async fn pump(
    job: &Job,
    first: Option<Bytes>,
    bytes: &mut ByteStream,
    mut writer: Box<dyn StreamWriter>,
) -> Result<Box<dyn StreamWriter>, Stop> {
    match job.lease.guard(Step::Stage, send(job, first, bytes, Some(writer.as_mut()))).await {
        Ok(()) => Ok(writer),
        Err(failure) => {
            let process_terminated = Some(writer.abort().await);
            let is_placing = failure.code == FailureCode::TargetIncomplete;
            Err(Stop { failure, is_placing, process_terminated })
        }
    }
}

/// Reads everything and sends it nowhere: whether the copy could be restored.
pub async fn drain(job: &Job, first: Option<Bytes>, bytes: &mut ByteStream) -> Result<(), Failure> {
    job.lease.guard(Step::ReadCopy, send(job, first, bytes, None)).await
}

async fn send(
    job: &Job,
    first: Option<Bytes>,
    bytes: &mut ByteStream,
    mut writer: Option<&mut (dyn StreamWriter + 'static)>,
) -> Result<(), Failure> {
    let mut next = first;
    while let Some(piece) = next {
        let size = piece.len() as u64;
        if let Some(writer) = &mut writer {
            writer.write(piece).await?;
        }
        job.gauge.set(|p| p.original_size += size);
        job.show_progress().await;
        next = bytes.next().await?;
    }
    Ok(())
}
