//! Reading a copy of a backup, for restores, downloads and listings. Nothing is trusted that the manifest does not say,
//! and the manifest is trusted only when its authentication code fits, and when it says the same as the database: a
//! foreign, renamed or exchanged object is not read, whoever put it there.

use crate::context::WorkerContext;
use crate::{places, secrets};
use holdfast_destinations::Destination;
use holdfast_domain::ids::BackupId;
use holdfast_domain::manifest::{Digest, Manifest, ManifestObject, ManifestStream, SignedManifest};
use holdfast_domain::source::EncryptionMode;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::reader::Joined;
use holdfast_pipeline::{DecryptKey, ObjectReader};
use holdfast_store::repositories::copies::{BackupToRead, CopyToRead};
use holdfast_store::rows::backup_copy_objects::Model as ObjectRow;
use holdfast_store::{Access, StoreError, TeamTx};
use holdfast_vault::team_keys::TeamKeyPurpose;
use secrecy::SecretString;
use sha2::Digest as _;
use std::sync::Arc;

/// A manifest is a few kB for each stream, and its warnings are capped; a larger object is none of ours.
const MANIFEST_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A copy whose manifest was found true.
pub struct OpenCopy {
    /// `backup_copies.id`.
    pub copy_id: i64,
    /// What is in it.
    pub manifest: Manifest,
    destination: Arc<dyn Destination>,
}

/// The backup as recorded; none where it is absent, deleted or another team's.
///
/// # Errors
/// The database failed.
pub async fn find(context: &WorkerContext, access: &Access, id: BackupId) -> Result<Option<BackupToRead>, StoreError> {
    let tx = context.store.for_team(access).await?;
    let found = tx.copies().of(id).await?;
    tx.commit().await?;
    Ok(found)
}

/// The first of the backup's copies that holds `stream` (all streams where none is named) as far as its manifest and the
/// sizes of the objects tell.
///
/// # Errors
/// Why the last one tried cannot be read.
pub async fn open_any(
    context: &WorkerContext,
    access: &Access,
    backup: &BackupToRead,
    stream: Option<&str>,
) -> Result<OpenCopy, Failure> {
    let mut last = damaged("The backup has no copy that can be read.");
    for copy in &backup.copies {
        match open_stream(context, access, (backup, copy), stream).await {
            Ok(open) => return Ok(open),
            Err(failure) => {
                tracing::warn!(copy = copy.copy.id, "a copy cannot be read: {failure}");
                last = failure;
            }
        }
    }
    Err(last)
}

/// Reads and checks one copy's manifest, and that every object is there.
///
/// # Errors
/// `manifest_invalid`, `copy_damaged`, and what the destination can say.
pub async fn open(
    context: &WorkerContext,
    access: &Access,
    backup: &BackupToRead,
    copy: &CopyToRead,
) -> Result<OpenCopy, Failure> {
    open_stream(context, access, (backup, copy), None).await
}

/// The same for one stream: what became of the others does not matter to whoever reads this one.
///
/// # Errors
/// As [`open`].
pub async fn open_stream(
    context: &WorkerContext,
    access: &Access,
    (backup, copy): (&BackupToRead, &CopyToRead),
    stream: Option<&str>,
) -> Result<OpenCopy, Failure> {
    let destination = places::open_destination(context, backup.team_uuid, &copy.destination)?;
    let recorded = copy.objects.iter().find(|o| o.kind == "manifest").map(object);
    let recorded = recorded.ok_or_else(|| invalid("No manifest is recorded for this copy."))?;
    let text = read_manifest(destination.as_ref(), &recorded).await?;
    let signed: SignedManifest =
        serde_json::from_slice(&text).map_err(|_| invalid("The stored manifest cannot be read."))?;
    let tx = context.store.for_team(access).await.map_err(|e| secrets::store_failure(Step::ReadCopy, &e))?;
    let key = secrets::mac_key(context, &tx, Some(signed.key_version)).await;
    drop(tx);
    let key = key?;
    let manifest = holdfast_vault::manifest::verify(&key, &signed).map_err(|e| invalid(&format!("{e}.")))?;
    agree(&manifest, backup, copy)?;
    let open = OpenCopy { copy_id: copy.copy.id, manifest, destination };
    for needed in open.manifest.streams.iter().filter(|s| stream.is_none_or(|name| name == s.name)) {
        open.reader(needed).await?;
    }
    Ok(open)
}

impl OpenCopy {
    /// The stored bytes of a stream, over all its objects.
    ///
    /// # Errors
    /// An object is missing, or has another size than recorded.
    pub async fn reader(&self, stream: &ManifestStream) -> Result<Arc<dyn ObjectReader>, Failure> {
        let mut objects = Vec::with_capacity(stream.objects.len());
        for object in &stream.objects {
            objects.push(self.object(object).await?);
        }
        let joined = Joined::new(objects);
        if joined.size_bytes() != stream.stored.size_bytes {
            return Err(damaged("The stored objects have another size than the manifest says."));
        }
        Ok(Arc::new(joined))
    }

    /// The stored bytes of a stream's index, and what they must be; none where the stream has no index.
    ///
    /// # Errors
    /// The object is missing, or has another size than recorded.
    pub async fn index(&self, stream: &ManifestStream) -> Result<Option<(Arc<dyn ObjectReader>, Digest)>, Failure> {
        let Some(index) = &stream.index else {
            return Ok(None);
        };
        Ok(Some((self.object(index).await?, index.digest.clone())))
    }

    async fn object(&self, object: &ManifestObject) -> Result<Arc<dyn ObjectReader>, Failure> {
        let reader = self.destination.open(object).await?;
        if reader.size_bytes() != object.digest.size_bytes {
            return Err(damaged("A stored object has another size than the manifest says."));
        }
        Ok(reader)
    }
}

/// What opens the backup's streams. A password given with the request wins over the task's.
///
/// # Errors
/// `recipients_only`, `wrong_password` where none is known, `secret_unavailable`.
pub async fn decrypt_key(
    context: &WorkerContext,
    tx: &TeamTx,
    backup: &BackupToRead,
    given: Option<SecretString>,
) -> Result<DecryptKey, Failure> {
    let mode = backup.backup.encryption_mode.parse::<EncryptionMode>();
    match mode.map_err(|e| Failure::new(Step::Prepare, FailureCode::Internal, e))? {
        EncryptionMode::None => Ok(DecryptKey::None),
        EncryptionMode::Managed => {
            let row = secrets::team_key_row(tx, TeamKeyPurpose::Age, None).await?;
            Ok(DecryptKey::Identity(secrets::team_key_text(context, tx.team_id(), &row)?))
        }
        EncryptionMode::Recipients => Err(Failure::new(
            Step::ReadCopy,
            FailureCode::RecipientsOnly,
            "The backup is encrypted to the team's own keys alone.",
        )),
        EncryptionMode::Password => match given {
            Some(password) => Ok(DecryptKey::Password(password)),
            None if backup.task.sealed_encryption_password.is_none() => {
                Err(Failure::new(Step::ReadCopy, FailureCode::WrongPassword, "The task has no password any more."))
            }
            None => Ok(DecryptKey::Password(secrets::task_encryption_password(context, &backup.task)?)),
        },
    }
}

async fn read_manifest(destination: &dyn Destination, recorded: &ManifestObject) -> Result<Vec<u8>, Failure> {
    if recorded.digest.size_bytes > MANIFEST_MAX_BYTES {
        return Err(invalid("The recorded manifest is larger than any of ours."));
    }
    let reader = destination.open(recorded).await?;
    if reader.size_bytes() != recorded.digest.size_bytes {
        return Err(invalid("The stored manifest has another size than the recorded one."));
    }
    let mut text = Vec::new();
    while (text.len() as u64) < recorded.digest.size_bytes {
        let left = usize::try_from(recorded.digest.size_bytes).unwrap_or(usize::MAX) - text.len();
        let bytes = reader.read_at(text.len() as u64, left).await?;
        if bytes.is_empty() || bytes.len() > left {
            return Err(damaged("The stored manifest ends early."));
        }
        text.extend_from_slice(&bytes);
    }
    if hex::encode(sha2::Sha256::digest(&text)) != recorded.digest.sha256 {
        return Err(invalid("The stored manifest is another one than the recorded one."));
    }
    Ok(text)
}

/// Whether the authenticated manifest is this backup's and names exactly the recorded objects. Without this an older
/// manifest of the same team, put in this one's place, would be restored instead.
fn agree(manifest: &Manifest, backup: &BackupToRead, copy: &CopyToRead) -> Result<(), Failure> {
    let row: Manifest = serde_json::from_value(backup.backup.manifest.clone())
        .map_err(|_| invalid("The recorded manifest cannot be read."))?;
    let same_backup = manifest.team_uuid == backup.team_uuid
        && manifest.backup_task_id == backup.backup.backup_task_id
        && manifest.backup_run_id == backup.backup.backup_run_id
        && manifest.encryption.as_str() == backup.backup.encryption_mode;
    if !same_backup || row != *manifest {
        return Err(invalid("The stored manifest says something else than the database."));
    }
    let of = |kind: &str| copy.objects.iter().filter(|o| o.kind == kind).map(object).collect::<Vec<_>>();
    let (mut streams, mut indexes) = (of("stream"), of("index"));
    let mut named: Vec<ManifestObject> = manifest.streams.iter().flat_map(|s| s.objects.clone()).collect();
    let mut named_indexes: Vec<ManifestObject> = manifest.streams.iter().filter_map(|s| s.index.clone()).collect();
    for list in [&mut streams, &mut indexes, &mut named, &mut named_indexes] {
        list.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if streams != named || indexes != named_indexes {
        return Err(invalid("The stored manifest names other objects than the database."));
    }
    Ok(())
}

fn object(row: &ObjectRow) -> ManifestObject {
    let digest = Digest { size_bytes: u64::try_from(row.size_bytes).unwrap_or(0), sha256: row.sha256.clone() };
    ManifestObject { name: row.name.clone(), digest }
}

fn invalid(detail: &str) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::ManifestInvalid, detail)
}

fn damaged(detail: &str) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, detail)
}
