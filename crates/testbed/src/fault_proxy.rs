//! A TCP proxy on loopback that goes wrong as told: ends or resets the connection, stands still, or is slow. (Distance is
//! [`crate::delay_proxy`]'s.)

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes in one piece.
const PIECE: usize = 16 * 1024;

/// How long the far end of a clean end may take to close its side.
const LINGER: Duration = Duration::from_secs(5);

/// What goes wrong with a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Both sides see a clean end.
    Fin,
    /// Both sides see a reset.
    Rst,
    /// Nothing is forwarded or taken any more; the connections stay open.
    Stall,
}

/// How the link behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkPlan {
    /// What happens once [`LinkPlan::after_bytes`] went one way.
    pub fault: Fault,
    /// When it happens: bytes of one direction of one connection. Zero: only by [`FaultProxy::strike`].
    pub after_bytes: u64,
    /// Connections it happens to, counted from the first; zero = all.
    pub connections: usize,
    /// Bytes a second in each direction; zero = no limit.
    pub bytes_per_second: u64,
}

/// A running proxy; dropping it cuts every connection.
pub struct FaultProxy {
    port: u16,
    strike: watch::Sender<Fault>,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    down_bytes: AtomicU64,
    up_bytes: AtomicU64,
}

/// The plan's fault is due.
struct Due;

impl FaultProxy {
    /// Listens on a free loopback port and forwards to `target`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: SocketAddr, plan: LinkPlan) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("binding the proxy")?;
        let port = listener.local_addr()?.port();
        let (strike, struck) = watch::channel(Fault::None);
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, target, plan, struck, seen.clone()));
        Ok(Self { port, strike, seen, task })
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets `fault` happen to every open connection now; later ones live.
    pub fn strike(&self, fault: Fault) {
        self.strike.send_replace(fault);
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// Bytes from the server so far.
    #[must_use]
    pub fn down_bytes(&self) -> u64 {
        self.seen.down_bytes.load(Ordering::Relaxed)
    }

    /// Bytes to the server so far.
    #[must_use]
    pub fn up_bytes(&self) -> u64 {
        self.seen.up_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    plan: LinkPlan,
    struck: watch::Receiver<Fault>,
    seen: Arc<Seen>,
) {
    let mut links = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = seen.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let spared = plan.connections != 0 && number > plan.connections;
        let plan = if spared { LinkPlan { fault: Fault::None, ..plan } } else { plan };
        let mut struck = struck.clone();
        struck.mark_unchanged();
        links.spawn(link(client, target, plan, struck, seen.clone()));
        while links.try_join_next().is_some() {}
    }
}

/// Carries one connection until it ends or its fault comes.
async fn link(
    mut client: TcpStream,
    target: SocketAddr,
    plan: LinkPlan,
    mut struck: watch::Receiver<Fault>,
    seen: Arc<Seen>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let fault = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let down = carry(from_server, to_client, plan, &seen.down_bytes);
        let up = carry(from_client, to_server, plan, &seen.up_bytes);
        tokio::select! {
            carried = async { tokio::try_join!(down, up) } => if carried.is_ok() { return } else { plan.fault },
            _ = struck.changed() => *struck.borrow(),
        }
    };
    match fault {
        Fault::None | Fault::Fin => {
            let _ = (client.shutdown().await, server.shutdown().await);
            // Dropping a socket with unread bytes would reset it: take them until the other side ends too.
            let mut nowhere = (tokio::io::sink(), tokio::io::sink());
            let drained = async {
                tokio::join!(tokio::io::copy(&mut client, &mut nowhere.0), tokio::io::copy(&mut server, &mut nowhere.1))
            };
            let _ = tokio::time::timeout(LINGER, drained).await;
        }
        Fault::Rst => {
            let _ = (client.set_zero_linger(), server.set_zero_linger());
        }
        Fault::Stall => std::future::pending().await,
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    plan: LinkPlan,
    counter: &AtomicU64,
) -> Result<(), Due> {
    let mut piece = vec![0; PIECE];
    let mut carried = 0;
    let is_counted = plan.fault != Fault::None && plan.after_bytes != 0;
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let read_bytes = read as u64;
        let left = if is_counted { plan.after_bytes.saturating_sub(carried) } else { u64::MAX };
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(read);
        if to.write_all(&piece[..take]).await.is_err() {
            break;
        }
        carried += read_bytes;
        counter.fetch_add(take as u64, Ordering::Relaxed);
        if is_counted && carried >= plan.after_bytes {
            return Err(Due);
        }
        if let Some(micros) = (read_bytes * 1_000_000).checked_div(plan.bytes_per_second) {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
    let _ = to.shutdown().await;
    Ok(())
}
