//! Writes one object: an exclusive `.part`, made durable, read back, compared, and only then given its name.
//!
//! A thread of its own does the disk's work and cleans up whatever happens, even when nobody waits for it any more.

use super::LocalRoot;
use super::beneath::{DiskError, open_file, open_folders, remove, rename, sync_folder};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::Sink;
use holdfast_pipeline::digest::Hasher;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Advice;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Chunks waiting for the disk; with 256 KiB chunks 1 MiB.
const CHUNKS: usize = 4;
/// A disk that moves nothing for so long has failed. An fsync of a full page cache to a slow disk takes minutes.
const STALL_LIMIT: Duration = Duration::from_secs(900);
/// How long an abort waits for the disk; the thread removes the file later all the same.
const ABORT_LIMIT: Duration = Duration::from_secs(30);
/// Bytes read back at a time.
const READ_BYTES: usize = 1 << 20;

/// A file in the making.
pub(super) struct Draft {
    pub(super) root: LocalRoot,
    pub(super) folders: Vec<String>,
    pub(super) folder: OwnedFd,
    pub(super) file: File,
    pub(super) part: String,
    pub(super) last: String,
    /// The name in the manifest.
    pub(super) full: String,
}

/// The async side.
pub(super) struct LocalSink {
    to: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What both sides see.
#[derive(Default)]
struct Shared {
    failure: Mutex<Option<Failure>>,
    /// Rises whenever the disk did something.
    moved: AtomicU64,
}

/// Where a commit's result goes.
type Answer = oneshot::Sender<Result<ManifestObject, Failure>>;

enum Command {
    Write(Bytes),
    Settle(oneshot::Sender<()>),
    Commit(Answer),
    Abort(oneshot::Sender<()>),
}

impl LocalSink {
    pub(super) fn start(draft: Draft) -> Result<Self, Failure> {
        let (to, from) = mpsc::channel(CHUNKS);
        let shared = Arc::new(Shared::default());
        let writer = Writer { draft: Some(draft), hasher: Hasher::default(), shared: shared.clone() };
        let thread = std::thread::Builder::new().name("local-sink".to_owned()).spawn(move || writer.run(from));
        thread.map_err(|e| Failure::new(Step::Stream, FailureCode::Internal, format!("No thread: {e}.")))?;
        Ok(Self { to, shared })
    }

    /// Why the thread is gone.
    fn failure(&self) -> Failure {
        let kept = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.unwrap_or_else(|| Failure::new(Step::Stream, FailureCode::Internal, "The writing thread is gone."))
    }

    /// Waits for `answer` as long as the disk moves.
    async fn patient<T>(&self, answer: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::pin!(answer);
        loop {
            let before = self.shared.moved.load(Ordering::Relaxed);
            if let Ok(answered) = tokio::time::timeout(STALL_LIMIT, &mut answer).await {
                return Ok(answered);
            }
            if before == self.shared.moved.load(Ordering::Relaxed) {
                let detail = format!("The store's disk moved nothing for {} s.", STALL_LIMIT.as_secs());
                return Err(Failure::new(Step::Stream, FailureCode::DestinationFailed, detail));
            }
        }
    }
}

#[async_trait]
impl Sink for LocalSink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.patient(self.to.send(Command::Write(bytes))).await?.map_err(|_| self.failure())
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.patient(self.to.send(Command::Settle(answer))).await?.map_err(|_| self.failure())?;
        self.patient(answered).await?.map_err(|_| self.failure())
    }

    async fn commit(self: Box<Self>) -> Result<ManifestObject, Failure> {
        let (answer, answered) = oneshot::channel();
        self.patient(self.to.send(Command::Commit(answer))).await?.map_err(|_| self.failure())?;
        self.patient(answered).await?.unwrap_or_else(|_| Err(self.failure()))
    }

    async fn abort(self: Box<Self>) {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            if self.to.send(Command::Abort(answer)).await.is_ok() {
                drop(answered.await);
            }
        };
        if tokio::time::timeout(ABORT_LIMIT, asked).await.is_err() {
            tracing::warn!("the store's disk hangs; the unfinished object is removed when it answers");
        }
    }
}

impl Drop for Draft {
    /// Whatever ended it, the `.part` goes; after a commit it has another name already.
    fn drop(&mut self) {
        if let Err(e) = remove(self.folder.as_fd(), &self.part) {
            tracing::warn!(error = %e.failure(Step::FinishDestination), "an unfinished object stays");
        }
    }
}

/// The thread's side.
struct Writer {
    draft: Option<Draft>,
    hasher: Hasher,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, mut from: mpsc::Receiver<Command>) {
        while let Some(command) = from.blocking_recv() {
            match command {
                Command::Write(bytes) => {
                    if let Err(failure) = self.write(&bytes) {
                        return self.fail(failure);
                    }
                }
                Command::Settle(answer) => {
                    if let Err(failure) = self.keep() {
                        return self.fail(failure);
                    }
                    // Nobody waits any longer: an abort follows.
                    let _ = answer.send(());
                }
                Command::Commit(answer) => {
                    let committed = self.commit(&answer);
                    if committed.is_err() {
                        self.draft = None;
                    }
                    if let Err(Ok(_)) = answer.send(committed) {
                        self.take_back();
                    }
                    return;
                }
                Command::Abort(answer) => {
                    self.draft = None;
                    // Nobody waits any longer: it is done all the same.
                    let _ = answer.send(());
                    return;
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(draft) = &mut self.draft else { return Err(gone()) };
        draft.file.write_all(bytes).map_err(DiskError::io("writing")).map_err(|e| e.failure(Step::Stream))?;
        self.hasher.update(bytes);
        self.shared.moved.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The file goes first, so that whoever hears of the failure finds nothing.
    fn fail(&mut self, failure: Failure) {
        self.draft = None;
        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// After a failed fsync the kernel may have dropped the bytes and would call the next one a success, so nothing is
    /// tried twice.
    fn keep(&self) -> Result<(), Failure> {
        let Some(draft) = &self.draft else { return Err(gone()) };
        let kept = draft.file.sync_all().map_err(DiskError::io("keeping the file"));
        kept.map_err(|e| e.failure(Step::FinishDestination))
    }

    /// Durable, the same bytes, named, the name durable: in this order.
    fn commit(&mut self, answer: &Answer) -> Result<ManifestObject, Failure> {
        self.keep()?;
        let Some(draft) = &self.draft else { return Err(gone()) };
        let disk = |e: DiskError| e.failure(Step::FinishDestination);
        let made = std::mem::take(&mut self.hasher).finish();
        self.read_back(draft, &made)?;
        draft.root.enter()?;
        if answer.is_closed() {
            return Err(Failure::new(Step::FinishDestination, FailureCode::Cancelled, "Nobody waits for the object."));
        }
        rename(draft.folder.as_fd(), &draft.part, &draft.last).map_err(disk)?;
        let named = sync_folder(draft.folder.as_fd()).map_err(disk).and_then(|()| is_in_place(draft));
        if let Err(failure) = named {
            remove(draft.folder.as_fd(), &draft.last).map_err(disk)?;
            return Err(failure);
        }
        Ok(ManifestObject { name: draft.full.clone(), digest: made })
    }

    /// Whoever asked for the object gave up while it got its name: it is nobody's now.
    fn take_back(&self) {
        let Some(draft) = &self.draft else { return };
        if let Err(e) = remove(draft.folder.as_fd(), &draft.last) {
            tracing::warn!(error = %e.failure(Step::FinishDestination), "an object that nobody waits for stays");
        }
    }

    fn read_back(&self, draft: &Draft, made: &Digest) -> Result<(), Failure> {
        let disk = |e: DiskError| e.failure(Step::Verify);
        // From the disk, not from memory, as far as the kernel obliges.
        let _ = rustix::fs::fadvise(&draft.file, 0, None, Advice::DontNeed);
        let mut file = open_file(draft.folder.as_fd(), &draft.part).map_err(disk)?;
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; READ_BYTES]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => hasher.update(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => (),
                Err(e) => return Err(disk(DiskError::io("reading back")(e))),
            }
            self.shared.moved.fetch_add(1, Ordering::Relaxed);
        }
        if hasher.finish() == *made {
            return Ok(());
        }
        Err(Failure::new(Step::Verify, FailureCode::VerifyFailed, "The store's disk gave other bytes back."))
    }
}

/// Whether the name, looked up from the root anew, is the file that was written: the mount may have changed meanwhile.
fn is_in_place(draft: &Draft) -> Result<(), Failure> {
    let disk = |e: DiskError| e.failure(Step::FinishDestination);
    let folders: Vec<&str> = draft.folders.iter().map(String::as_str).collect();
    let folder = open_folders(draft.root.enter()?.as_fd(), &folders).map_err(disk)?;
    let found = open_file(folder.as_fd(), &draft.last).map_err(disk)?;
    let place = |file: &File| file.metadata().map(|m| (m.dev(), m.ino())).map_err(DiskError::io("looking at a file"));
    if place(&found).map_err(disk)? == place(&draft.file).map_err(disk)? {
        return Ok(());
    }
    let detail = "The store's folders were exchanged while the object was written.";
    Err(Failure::new(Step::FinishDestination, FailureCode::DestinationFailed, detail))
}

fn gone() -> Failure {
    Failure::new(Step::Stream, FailureCode::Internal, "The object is written already.")
}
