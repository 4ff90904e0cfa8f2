//! A TCP relay that makes a near server far: every byte arrives a fixed time later, at full rate. It changes nothing
//! else; a closed side is passed on after the same time.

use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks under way in each direction, 128 MiB: at 50 ms more than two GiB/s, so that the relay is never the limit.
const CHUNKS_UNDER_WAY: usize = 2048;

/// A running relay; gone when dropped.
pub struct DelayProxy {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl DelayProxy {
    /// Relays connections to `target`; each direction takes `one_way` longer, so a round trip takes twice that.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: SocketAddr, one_way: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(serve(listener, target, one_way));
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every connection is a task of this set, and ends with it.
async fn serve(listener: TcpListener, target: SocketAddr, one_way: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, _)) = accepted {
                    connections.spawn(relay(near, target, one_way));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(near: TcpStream, target: SocketAddr, one_way: Duration) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::join!(carry(near_read, far_write, one_way), carry(far_read, near_write, one_way));
}

/// Passes `from` on to `to`, each chunk `one_way` after it came.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, one_way: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let read = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match from.read_buf(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if sender.send((Instant::now() + one_way, chunk)).await.is_err() {
                break;
            }
        }
        // The end travels as long as the data does.
        let _ = sender.send((Instant::now() + one_way, Vec::new())).await;
    };
    let write = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_and_a_round_trip_later() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let target = server.local_addr().expect("an address");
        let echo = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a connection");
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.expect("echoed");
        });
        let proxy = DelayProxy::start(target, Duration::from_millis(40)).await.expect("a proxy");
        let mut client = TcpStream::connect(proxy.address()).await.expect("connected");
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
        let started = Instant::now();
        let (mut read, mut write) = client.split();
        let mut got = Vec::new();
        let (_, _) = tokio::join!(
            async {
                write.write_all(&sent).await.expect("sent");
                write.shutdown().await.expect("ended");
            },
            async { read.read_to_end(&mut got).await.expect("received") }
        );
        assert!(got == sent, "{} bytes came back", got.len());
        assert!(started.elapsed() >= Duration::from_millis(80), "{:?}", started.elapsed());
        echo.abort();
    }
}
