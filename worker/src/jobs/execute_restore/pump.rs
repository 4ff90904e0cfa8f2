//! Moving the bytes: from the copy to the unpacking program, until the stream proved itself.

use super::{Job, Stop};
use bytes::Bytes;
use holdfast_domain::{Failure, Step};
use holdfast_pipeline::ByteStream;
use holdfast_sources::files_restore::FilesWriter;

/// Sends everything. When this returns `Ok` the stream was whole, and the writer may put it into place; in every other
/// case the writer is aborted: its staging folder is removed and nothing of the target was touched.
pub async fn pump(
    job: &Job,
    first: Option<Bytes>,
    bytes: &mut ByteStream,
    mut writer: FilesWriter,
) -> Result<FilesWriter, Stop> {
    match job.lease.guard(Step::Stage, send(job, first, bytes, &mut writer)).await {
        Ok(()) => Ok(writer),
        Err(failure) => {
            let process_terminated = Some(writer.abort().await);
            Err(Stop { failure, is_placing: false, process_terminated })
        }
    }
}

async fn send(
    job: &Job,
    first: Option<Bytes>,
    bytes: &mut ByteStream,
    writer: &mut FilesWriter,
) -> Result<(), Failure> {
    let mut next = first;
    while let Some(piece) = next {
        let size = piece.len() as u64;
        writer.write(piece).await?;
        job.gauge.set(|p| p.original_size += size);
        job.show_progress().await;
        next = bytes.next().await?;
    }
    Ok(())
}
