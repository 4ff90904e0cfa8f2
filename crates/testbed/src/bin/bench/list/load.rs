//! Clients that ask as fast as they are answered. As little as an HTTP/1.1 client can be: it takes the processor from the
//! servers it measures.

use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One request and where it goes.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    request: Arc<[u8]>,
}

impl Target {
    /// The product's list of whoever has this token.
    pub(crate) fn ours(address: SocketAddr, path: &str, token: &str) -> Self {
        Self::of(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"))
    }

    /// The bare handler's list of a team, under the name of the product.
    pub(crate) fn bare(address: SocketAddr, product: SocketAddr, team: i64) -> Self {
        Self::of(address, format!("GET /?team={team} HTTP/1.1\r\nHost: {product}\r\n\r\n"))
    }

    fn of(address: SocketAddr, request: String) -> Self {
        Self { address, request: request.into_bytes().into() }
    }

    /// The body of one answer.
    pub(crate) async fn once(&self) -> Result<Vec<u8>> {
        let mut client = Client::open(self.address).await?;
        client.ask(&self.request).await?;
        Ok(client.body().to_vec())
    }
}

/// What one side did in one round.
pub(crate) struct Load {
    pub(crate) requests: usize,
    pub(crate) seconds: f64,
    /// Sorted.
    micros: Vec<u32>,
}

impl Load {
    /// The time within which this share of the requests was answered.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let place = (self.micros.len() as f64 * share) as usize;
        self.micros
            .get(place.min(self.micros.len().saturating_sub(1)))
            .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// `clients` of them, each with a connection of its own and the targets in turn, beginning at different ones.
pub(crate) async fn run(targets: &[Target], clients: usize, warm_up: Duration, measured: Duration) -> Result<Load> {
    let started = Instant::now();
    let (begin, end) = (started + warm_up, started + warm_up + measured);
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let targets: Vec<Target> =
            targets.iter().cycle().skip(client * 7).step_by(11).take(targets.len()).cloned().collect();
        tasks.spawn(ask_until(targets, begin, end));
    }
    let mut micros = Vec::new();
    while let Some(one) = tasks.join_next().await {
        micros.extend(one??);
    }
    micros.sort_unstable();
    Ok(Load { requests: micros.len(), seconds: measured.as_secs_f64(), micros })
}

async fn ask_until(targets: Vec<Target>, begin: Instant, end: Instant) -> Result<Vec<u32>> {
    let mut client = Client::open(targets.first().context("no target")?.address).await?;
    let mut micros = Vec::new();
    for target in targets.iter().cycle() {
        let asked = Instant::now();
        if asked >= end {
            break;
        }
        client.ask(&target.request).await?;
        let answered = Instant::now();
        if asked >= begin && answered <= end {
            micros.push(u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX));
        }
    }
    Ok(micros)
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    body_at: usize,
}

impl Client {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10), body_at: 0 })
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.body_at..]
    }

    /// Sends `request` and reads the answer whole; only a 200 is one.
    async fn ask(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let length = loop {
            self.read().await?;
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                self.body_at = at + 4;
                break content_length(&self.buffer[..at])?;
            }
        };
        while self.body().len() < length {
            self.read().await?;
        }
        ensure!(self.body().len() == length, "more than one answer");
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection was closed");
        }
        Ok(())
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(of).with_context(|| format!("no length: {head}"))
}
