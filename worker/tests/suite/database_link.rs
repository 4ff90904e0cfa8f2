//! The way to Postgres breaks: at the commit that makes a run a success (before it arrives there, or after it was done
//! and before the answer came back: the outcome is read, never assumed), or altogether for a while.

use crate::harness::{Worker, World};
use crate::listener::{Listener, add_stream};
use crate::telling_events::{a_success, every_event, told_of_runs};
use holdfast_store::Store;
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

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

/// A way to Postgres that loses connections at their commit, `left` times, and all of them while it is closed.
struct Way {
    folder: tempfile::TempDir,
    left: Arc<AtomicUsize>,
    open: watch::Sender<bool>,
    refused: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Way {
    fn to(server: PathBuf, cut: Cut) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let (left, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counter, refusals) = (Arc::clone(&left), Arc::clone(&refused));
        let (open, is_open) = watch::channel(true);
        let task = tokio::spawn(async move {
            let mut links = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if !*is_open.borrow() {
                    refusals.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let (server, left, mut is_open) = (server.clone(), Arc::clone(&counter), is_open.clone());
                links.spawn(async move {
                    tokio::select! {
                        _ = is_open.wait_for(|is_open| !is_open) => {}
                        _ = link(client, &server, cut, &left) => {}
                    }
                });
            }
        });
        Self { folder, left, open, refused, task }
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
        let listener = Listener::start().await;
        add_stream(&world, &listener, &every_event(), None).await;
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
        assert_eq!(told_of_runs(&world).await, a_success(), "{cut:?}");
        world.eventually("commits were lost", async || way.left.load(Ordering::SeqCst) == 0).await;
        worker.stop().await;
        world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_for_a_moment_costs_no_attempt() {
    for point in [FaultPoint::Connected, FaultPoint::SourceEnded, FaultPoint::Stored, FaultPoint::Verified] {
        let mut world = World::new().await;
        let straight = world.database.app_options();
        let way = Way::to(straight.get_socket().unwrap().join(SOCKET), Cut::Before);
        world.store = Store::connect(straight.socket(way.folder.path()), 20).await.unwrap();
        let (faults, hold) = FaultPoints::hold(point);
        let context = world.context_with(faults, &[("HOLDFAST__WORKER__LEASE_SECS", "30")]);
        let worker = Worker::start(context).await;
        let run = world.queue_run().await;
        hold.reached().await;
        way.open.send_replace(false);
        hold.release();
        world.eventually("it asks in vain", async || way.refused.load(Ordering::SeqCst) >= 5).await;
        way.open.send_replace(true);
        let row = world.until_over(run).await;
        assert_eq!(
            (row.status.as_str(), row.attempts),
            ("succeeded", 1),
            "{point:?} {row:#?} {:#?}",
            world.log(run).await
        );
        worker.stop().await;
        world.assert_no_residue().await;
    }
}
