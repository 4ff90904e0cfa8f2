//! A folder on the workers' own disk or mount.
//!
//! Off until the operator names a root. A root carries `store.id`: every act compares it first, so that an unmounted
//! disk is offline, not empty. Objects lie at `<root>/<team uuid>/<destination id>/<object name>`. Disk calls run on
//! threads that may block, a bounded number of them, and are given up after a time: a hung disk must not hold the
//! program.

mod beneath;
mod reader;
mod writer;

use crate::{Destination, Usage, probe};
use async_trait::async_trait;
use beneath::{DiskError, components, create, make_folders, open_file, open_folders, remove, rename, sync_folder};
use holdfast_domain::check::CheckStep;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::manifest::ManifestObject;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{ObjectReader, Sink};
use reader::LocalReader;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The file that names a root.
const STORE_ID: &str = "store.id";
/// What an object is called until it is whole.
const PART: &str = ".part";
/// Disk calls at a time; a hung disk takes no more threads than these.
const DISK_CALLS: usize = 32;
/// How long one call may take.
const DISK_CALL_LIMIT: Duration = Duration::from_secs(60);

/// A root that the operator named.
#[derive(Clone)]
pub struct LocalRoot {
    path: Arc<PathBuf>,
    store_id: Uuid,
    calls: Arc<Semaphore>,
}

/// One destination's part of a root.
pub struct LocalDestination {
    root: LocalRoot,
    folder: [String; 2],
}

impl LocalRoot {
    /// Reads the root's id, or gives it `fresh`. The folder must exist: a missing one is an unmounted disk. Blocks.
    ///
    /// # Errors
    /// `StoreOffline` if the folder is not there; `InvalidConfig` if its `store.id` is not one; `DestinationFailed`.
    pub fn open(path: &Path, fresh: Uuid) -> Result<Self, Failure> {
        if !path.is_absolute() {
            return Err(Failure::new(Step::Prepare, FailureCode::InvalidConfig, "The local root is no absolute path."));
        }
        let root = open_root(path)?;
        let store_id = match read_store_id(&root)? {
            Some(id) => id,
            None => make_store_id(&root, fresh)?,
        };
        Ok(Self { path: Arc::new(path.to_owned()), store_id, calls: Arc::new(Semaphore::new(DISK_CALLS)) })
    }

    /// What the root is called in `workers.store_ids`.
    #[must_use]
    pub fn store_id(&self) -> Uuid {
        self.store_id
    }

    /// Opens the root anew, so that an unmounted disk is noticed and a mounted one can be unmounted.
    fn enter(&self) -> Result<OwnedFd, Failure> {
        let root = open_root(&self.path)?;
        match read_store_id(&root)? {
            Some(id) if id == self.store_id => Ok(root),
            Some(_) => Err(offline("another store is mounted at the local root")),
            None => Err(offline("the store is not mounted at the local root")),
        }
    }

    /// Runs `call` where it may block.
    async fn call<T: Send + 'static>(
        &self,
        step: Step,
        call: impl FnOnce(&LocalRoot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let hung = |_| {
            let detail = format!("The store's disk did not answer within {} s.", DISK_CALL_LIMIT.as_secs());
            Failure::new(step, FailureCode::DestinationFailed, detail)
        };
        let ended = |e: String| Failure::new(step, FailureCode::Internal, format!("A disk call ended: {e}."));
        let root = self.clone();
        let called = async move {
            let permit = root.calls.clone().acquire_owned().await.map_err(|e| ended(e.to_string()))?;
            let thread = tokio::task::spawn_blocking(move || {
                let result = call(&root);
                drop(permit);
                result
            });
            thread.await.unwrap_or_else(|e| Err(ended(e.to_string())))
        };
        tokio::time::timeout(DISK_CALL_LIMIT, called).await.map_err(hung)?
    }
}

impl LocalDestination {
    /// The part of `root` that belongs to this team's destination.
    #[must_use]
    pub fn new(root: LocalRoot, team_uuid: Uuid, id: BackupDestinationId) -> Self {
        Self { root, folder: [team_uuid.to_string(), id.to_string()] }
    }

    /// Runs `call` with the folders above an object and the object's own name.
    async fn at<T: Send + 'static>(
        &self,
        step: Step,
        name: &str,
        call: impl FnOnce(&LocalRoot, &[&str], &str) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (folder, name) = (self.folder.clone(), name.to_owned());
        self.root
            .call(step, move |root| {
                let Some((below, last)) = components(&name) else {
                    return Err(Failure::new(step, FailureCode::InvalidConfig, "The object's name is no plain path."));
                };
                let folders: Vec<&str> = folder.iter().map(String::as_str).chain(below).collect();
                call(root, &folders, last)
            })
            .await
    }
}

#[async_trait]
impl Destination for LocalDestination {
    async fn put(&self, name: &str) -> Result<Box<dyn Sink>, Failure> {
        let full = name.to_owned();
        let draft = self.at(Step::Stream, name, move |root, folders, last| {
            let disk = |e: DiskError| e.failure(Step::Stream);
            let folder = make_folders(root.enter()?.as_fd(), folders).map_err(disk)?;
            let part = format!("{last}{PART}");
            let file = create(folder.as_fd(), &part).map_err(disk)?;
            let folders = folders.iter().map(|f| (*f).to_owned()).collect();
            Ok(writer::Draft { root: root.clone(), folders, folder, file, part, last: last.to_owned(), full })
        });
        Ok(Box::new(writer::LocalSink::start(draft.await?)?))
    }

    async fn open(&self, object: &ManifestObject) -> Result<Arc<dyn ObjectReader>, Failure> {
        let expected = object.digest.size_bytes;
        let open = self.at(Step::ReadCopy, &object.name, move |root, folders, last| {
            let disk = |e: DiskError| {
                let absent = || damaged("The copy is not there any more.".to_owned());
                if e.is_absent() { absent() } else { e.failure(Step::ReadCopy) }
            };
            let folder = open_folders(root.enter()?.as_fd(), folders).map_err(disk)?;
            let file = open_file(folder.as_fd(), last).map_err(disk)?;
            let size_bytes = file.metadata().map_err(DiskError::io("looking at a file")).map_err(disk)?.len();
            if size_bytes != expected {
                return Err(damaged(format!("The copy has {size_bytes} bytes; {expected} were stored.")));
            }
            Ok(LocalReader { root: root.clone(), file: Arc::new(file), size_bytes })
        });
        Ok(Arc::new(open.await?))
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let step = Step::FinishDestination;
        self.at(step, name, move |root, folders, last| {
            let disk = |e: DiskError| e.failure(step);
            let folder = match open_folders(root.enter()?.as_fd(), folders) {
                Ok(folder) => folder,
                Err(e) if e.is_absent() => return Ok(()),
                Err(e) => return Err(disk(e)),
            };
            let had_part = remove(folder.as_fd(), &format!("{last}{PART}")).map_err(disk)?;
            let had_final = remove(folder.as_fd(), last).map_err(disk)?;
            if had_part || had_final { sync_folder(folder.as_fd()).map_err(disk) } else { Ok(()) }
        })
        .await
    }

    async fn check(&self, probe_name: &str) -> Vec<CheckStep> {
        let mut steps = Vec::new();
        let probed = probe::write_and_read(self, probe_name, &mut steps).await;
        let deleted = self.delete(probe_name).await;
        if probed.is_ok() && probe::note(&mut steps, "delete", deleted).is_ok() {
            steps.push(CheckStep::passed("delete", "It was deleted again."));
        }
        steps
    }

    async fn usage(&self) -> Result<Option<Usage>, Failure> {
        let usage = self.root.call(Step::Prepare, |root| {
            let found = rustix::fs::fstatvfs(root.enter()?).map_err(DiskError::of("asking for room"));
            let found = found.map_err(|e| e.failure(Step::Prepare))?;
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            Ok(Some(Usage { total_bytes: bytes(found.f_blocks), available_bytes: bytes(found.f_bavail) }))
        });
        usage.await
    }
}

/// The operator's path may go through links: it is the operator's.
fn open_root(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(root) => Ok(root),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(offline("the local root does not exist")),
        Err(errno) => Err(DiskError::of("opening the local root")(errno).failure(Step::Connect)),
    }
}

fn read_store_id(root: &OwnedFd) -> Result<Option<Uuid>, Failure> {
    let file = match open_file(root.as_fd(), STORE_ID) {
        Ok(file) => file,
        Err(e) if e.is_absent() => return Ok(None),
        Err(e) => return Err(e.failure(Step::Connect)),
    };
    let mut text = String::new();
    let read = file.take(64).read_to_string(&mut text);
    let wrong = || {
        let detail = "The file `store.id` of the local root holds no id; put the right one back.";
        Failure::new(Step::Connect, FailureCode::InvalidConfig, detail)
    };
    match read {
        Ok(_) => Uuid::parse_str(text.trim()).map(Some).map_err(|_| wrong()),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(wrong()),
        Err(e) => Err(DiskError::io("reading store.id")(e).failure(Step::Connect)),
    }
}

/// Two workers that start on a new root agree: the name can be taken only once.
fn make_store_id(root: &OwnedFd, fresh: Uuid) -> Result<Uuid, Failure> {
    let disk = |e: DiskError| e.failure(Step::Connect);
    let part = format!("{STORE_ID}.{fresh}{PART}");
    let mut file = create(root.as_fd(), &part).map_err(disk)?;
    let kept = file.write_all(format!("{fresh}\n").as_bytes()).and_then(|()| file.sync_all());
    let named = kept.map_err(DiskError::io("writing store.id")).and_then(|()| rename(root.as_fd(), &part, STORE_ID));
    match named {
        Ok(()) => sync_folder(root.as_fd()).map_err(disk)?,
        Err(e) => {
            remove(root.as_fd(), &part).map_err(disk)?;
            if !e.exists() {
                return Err(disk(e));
            }
        }
    }
    read_store_id(root)?.ok_or_else(|| offline("the store's id vanished while it was made"))
}

fn offline(detail: &str) -> Failure {
    Failure::new(Step::Connect, FailureCode::StoreOffline, format!("Offline: {detail}."))
}

fn damaged(detail: String) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, detail)
}

#[cfg(test)]
mod tests;
