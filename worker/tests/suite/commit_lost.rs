//! The connection to Postgres breaks at the commit that makes a run a success: before it arrives there, or after it was
//! done and before the answer came back. The outcome is read, never assumed, and there is one backup.

use crate::harness::World;
use holdfast_store::Store;
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// The client's message that commits: `Query`, its length, the text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// The name under which Postgres' clients look for port 5432 in a folder.
const SOCKET: &str = ".s.PGSQL.5432";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The server never sees it.
    Before,
    /// The server did it; its answer is lost.
    After,
}

/// A way to Postgres that loses connections at their commit, `left` times.
struct Way {
    folder: tempfile::TempDir,
    left: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Way {
    fn to(server: PathBuf, cut: Cut) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let left = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&left);
        let task = tokio::spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, left) = (server.clone(), Arc::clone(&counter));
                links.spawn(async move { link(client, &server, cut, &left).await });
            }
        });
        Self { folder, left, task }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn link(mut client: UnixStream, server: &Path, cut: Cut, left: &AtomicUsize) -> Option<()> {
    let mut server = UnixStream::connect(server).await.ok()?;
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let message = &up[..read.ok().filter(|read| *read > 0)?];
                let is_commit = message.windows(COMMIT.len()).any(|part| part == COMMIT);
                let is_due = is_commit && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                if is_due && cut == Cut::Before {
                    return None;
                }
                server.write_all(message).await.ok()?;
                if is_due {
                    // Its answer says that it is done; nobody else may hear it.
                    server.read(&mut down).await.ok().filter(|read| *read > 0)?;
                    return None;
                }
            }
            read = server.read(&mut down) => {
                let message = &down[..read.ok().filter(|read| *read > 0)?];
                client.write_all(message).await.ok()?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_the_commit_makes_one_backup() {
    for cut in [Cut::Before, Cut::After] {
        let mut world = World::new().await;
        let straight = world.database.app_options();
        let way = Way::to(straight.get_socket().unwrap().join(SOCKET), cut);
        world.store = Store::connect(straight.socket(way.folder.path()), 20).await.unwrap();
        let (faults, hold) = FaultPoints::hold(FaultPoint::ManifestWritten);
        let worker = world.worker(faults).await;
        let run = world.queue_run().await;
        hold.reached().await;
        // The worker's other transactions (leases, the queue, loops) may meet it as well, so more than one.
        way.left.store(6, Ordering::SeqCst);
        hold.release();
        let row = world.until_over(run).await;
        assert_eq!(
            (row.status.as_str(), row.attempts),
            ("succeeded", 1),
            "{cut:?} {row:#?} {:#?}",
            world.log(run).await
        );
        assert_eq!(world.backups().await, 1, "{cut:?}");
        world.eventually("commits were lost", async || way.left.load(Ordering::SeqCst) == 0).await;
        worker.stop().await;
        world.assert_no_residue().await;
    }
}
