//! The bytes of a copy: each object from the copy that is read to the destination, compared with its recorded hash on the
//! way and again by the destination; then read back.

use super::Job;
use crate::copy_reader;
use crate::faults::FaultPoint;
use holdfast_destinations::Destination;
use holdfast_domain::manifest::{Digest, Manifest, ManifestObject, ManifestStream};
use holdfast_domain::source::EncryptionMode;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::reader::Joined;
use holdfast_pipeline::verify::{Expected, v0, v1};
use holdfast_pipeline::{DecryptKey, ObjectReader, Sink, decode};
use holdfast_store::repositories::copies::BackupToRead;
use holdfast_store::rows::backup_copy_objects::Model as ObjectRow;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often the row is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Frames read back besides the first and the last.
const RANDOM_FRAMES: usize = 4;

/// Bytes of a recorded object.
pub(super) fn size_bytes(object: &ObjectRow) -> u64 {
    u64::try_from(object.size_bytes).unwrap_or(0)
}

/// Brings one object over. What an earlier attempt left under its name is removed first.
pub(super) async fn bring(
    job: &Job,
    from: &dyn Destination,
    to: &dyn Destination,
    object: &ObjectRow,
) -> Result<(), Failure> {
    let digest = Digest { size_bytes: size_bytes(object), sha256: object.sha256.clone() };
    let object = ManifestObject { name: object.name.clone(), digest };
    let reader = from.open(&object).await.map_err(of_source)?;
    to.delete(&object.name).await?;
    let mut sink = to.put(&object.name).await?;
    if let Err(failure) = pour(job, reader, &object.digest, sink.as_mut()).await {
        sink.abort().await;
        return Err(failure);
    }
    let made = sink.commit().await?;
    if made == object {
        return Ok(());
    }
    let detail = format!("The destination holds other bytes under {:?} than the copy that was read.", object.name);
    Err(Failure::new(Step::FinishDestination, FailureCode::VerifyFailed, detail))
}

async fn pour(job: &Job, reader: Arc<dyn ObjectReader>, digest: &Digest, sink: &mut dyn Sink) -> Result<(), Failure> {
    let mut bytes = decode::stored(reader, digest.clone());
    let mut is_first = true;
    // None comes only once the hash of everything was the recorded one.
    while let Some(chunk) = bytes.next().await.map_err(of_source)? {
        let len = chunk.len() as u64;
        sink.write(chunk).await?;
        job.set_progress(|progress| {
            progress.original_size += len;
            progress.stored_size = progress.original_size;
        });
        show_progress(job).await;
        if std::mem::take(&mut is_first) {
            job.context.faults.reach(FaultPoint::Copying).await;
        }
    }
    sink.settle().await
}

/// Reads the new copy back. Where we have the stream's key, as after a run: head, tail and random frames authenticated;
/// elsewhere all of it compared with the recorded hash.
pub(super) async fn verify(
    job: &Job,
    backup: &BackupToRead,
    manifest: &Manifest,
    to: &dyn Destination,
) -> Result<(), Failure> {
    let key = key(job, backup, manifest.encryption).await?;
    for stream in &manifest.streams {
        read_back(job, stream, key.as_ref(), to).await?;
    }
    Ok(())
}

async fn read_back(
    job: &Job,
    stream: &ManifestStream,
    key: Option<&DecryptKey>,
    to: &dyn Destination,
) -> Result<(), Failure> {
    let mut objects = Vec::with_capacity(stream.objects.len());
    for object in &stream.objects {
        objects.push(to.open(object).await?);
    }
    let body: Arc<dyn ObjectReader> = Arc::new(Joined::new(objects));
    let Some(key) = key else { return v0(body, &stream.stored).await };
    let random: Vec<u64> = (0..RANDOM_FRAMES).map(|_| job.context.random.bits()).collect();
    let expected = Expected { stored: stream.stored.clone(), original_bytes: Some(stream.original.size_bytes) };
    v1(body, key, expected, &random).await?;
    if let Some(index) = &stream.index {
        let expected = Expected { stored: index.digest.clone(), original_bytes: None };
        v1(to.open(index).await?, key, expected, &random).await?;
    }
    Ok(())
}

/// The task's password may be another one by now, and the team's own keys we do not have.
async fn key(job: &Job, backup: &BackupToRead, mode: EncryptionMode) -> Result<Option<DecryptKey>, Failure> {
    if matches!(mode, EncryptionMode::Password | EncryptionMode::Recipients) {
        return Ok(None);
    }
    let store = |error| crate::secrets::store_failure(Step::Verify, &error);
    let tx = job.context.store.for_team(&job.access).await.map_err(store)?;
    let key = copy_reader::decrypt_key(&job.context, &tx, backup, None).await?;
    tx.commit().await.map_err(store)?;
    Ok(Some(key))
}

/// Writes the figures if it is time. A failure is logged and nothing else: the next one comes in a second, and the lease is
/// kept elsewhere.
async fn show_progress(job: &Job) {
    let (now, size) = (Instant::now(), job.own_progress().original_size);
    {
        let mut written = job.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before) = *written.get_or_insert((now, size));
        let passed = now.saturating_duration_since(since);
        if passed < WRITE_EVERY {
            return;
        }
        *written = Some((now, size));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        // Another copy begins at nothing.
        let bytes_per_second = size.saturating_sub(before).saturating_mul(1_000) / millis;
        job.set_progress(|progress| progress.bytes_per_second = bytes_per_second);
    }
    let progress = job.progress();
    let writing = async {
        let tx = job.context.store.for_team(&job.access).await?;
        tx.copy_execution(job.id, job.epoch).note_progress(&progress).await?;
        tx.commit().await
    };
    if let Err(error) = writing.await {
        tracing::warn!(copy = %job.id, %error, "progress could not be written");
    }
}

/// A failure of the copy that is read, so that the next one is tried.
fn of_source(failure: Failure) -> Failure {
    Failure { step: Step::ReadCopy, ..failure }
}
