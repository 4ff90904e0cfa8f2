//! Serving connections. `axum::serve` sets no timers, so one slow header line per ten seconds kept a connection for
//! ever: here the headers have ten seconds, an idle connection too, and an address has a bounded number of connections.

use crate::absence_watch;
use crate::accounts::AccountSettings;
use crate::extract::client_address::{self, Peer};
use crate::links::Origin;
use crate::relay::Relay;
use crate::state::ApiParts;
use crate::stream_rules::StreamRules;
use axum::{Extension, Router};
use holdfast_config::Config;
use holdfast_store::Store;
use holdfast_vault::{KekError, LoginKey};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use rand::SeedableRng;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// Connections at once, all clients together.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections at once of one address; a trusted proxy, which stands for many clients, is not counted.
const CONNECTIONS_PER_ADDRESS: u32 = 1_024;
/// How long requests under way may take once the process is asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept (out of descriptors) wait a little instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API on `listener` until `soft` (no new connections; requests under way end) or `hard` (stop now).
///
/// # Errors
/// The TLS library for the way to the workers could not be set up.
pub async fn serve(
    config: Arc<Config>,
    store: Store,
    listener: TcpListener,
    soft: CancellationToken,
    hard: CancellationToken,
) -> anyhow::Result<()> {
    let login_key = login_key(&config)?;
    let parts = ApiParts {
        login_key,
        store,
        relay: Relay::new()?,
        origin: Origin {
            public_url: config.http.public_url.as_ref().map(ToString::to_string),
            allowed_hosts: config.http.allowed_hosts.clone(),
        },
        rate_limit_per_min: config.http.rate_limit_per_min,
        session_rate_limit_per_min: config.http.session_rate_limit_per_min,
        run_rate_limit_per_min: config.http.run_rate_limit_per_min,
        webhook_secret_in_query: config.http.webhook_secret_in_query,
        login_rate_limit_per_min: config.http.login_rate_limit_per_min,
        accounts: AccountSettings::of(&config),
        team_limits: holdfast_domain::TeamLimits::from_pairs(config.limits.pairs()),
        stream_rules: StreamRules {
            allow_any_webhook_host: config.notify.allow_any_webhook_host,
            allow_http: config.notify.allow_http,
        },
        trusted_proxies: config.http.trusted_proxies.clone(),
        absence_grace: config.absence.grace,
        max_body_bytes: usize::try_from(config.http.max_body_bytes).unwrap_or(usize::MAX),
        request_timeout: config.http.request_timeout,
        clock: Arc::new(chrono::Utc::now),
        rng: rand::rngs::StdRng::from_os_rng(),
    };
    let limits = Limits { header_timeout: config.http.header_timeout, proxies: config.http.trusted_proxies.clone() };
    let watch = absence_watch::run(parts.store.clone(), config.absence.clone(), [soft.clone(), hard.clone()]);
    tokio::join!(watch, accept(listener, crate::router(parts), limits, soft, hard));
    Ok(())
}

/// The log-in key, if there is one. Without it nobody can use a second factor, and everything else works.
fn login_key(config: &Config) -> anyhow::Result<Option<LoginKey>> {
    let Some(path) = &config.accounts.login_key_file else { return Ok(None) };
    match LoginKey::load(path) {
        Ok(key) => Ok(Some(key)),
        Err(KekError::Missing(_)) => {
            tracing::warn!(
                "there is no log-in key at {}: two-factor log-in is not possible. `holdfast admin login-key` makes the \
                 file where the key file is",
                path.display()
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a client may take.
struct Limits {
    header_timeout: Duration,
    /// `http.trusted_proxies`: one address that stands for many clients.
    proxies: Vec<IpNet>,
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let slots = Slots::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = soft.cancelled() => break,
            () = hard.cancelled() => break,
            // Ended connections are taken out as they end, so that the set does not grow.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = peer.ip().to_canonical();
        let is_proxy = client_address::is_trusted(address, &limits.proxies);
        let most = if is_proxy { u32::MAX } else { CONNECTIONS_PER_ADDRESS };
        let Some(slot) = slots.take(address, most) else { continue };
        connections.spawn(connection(stream, router.clone(), limits.header_timeout, &graceful, slot));
    }
    drop(listener);
    let drained = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    tokio::select! {
        () = drained => {}
        () = hard.cancelled() => tracing::warn!("stopping without waiting for requests under way"),
        () = tokio::time::sleep(DRAIN_TIMEOUT) => tracing::warn!("requests under way did not end in time"),
    }
    // Dropping the set ends whatever is left.
}

/// One connection to its end.
fn connection(
    stream: TcpStream,
    router: Router,
    header_timeout: Duration,
    graceful: &GracefulShutdown,
    slot: Slot,
) -> impl Future<Output = ()> + Send + 'static {
    let service = Extension(Peer(slot.address)).layer(router);
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let serving = graceful.watch(serving);
    async move {
        let _slot = slot;
        if let Err(error) = serving.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

#[derive(Clone)]
struct Slots {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS_MAX)), by_address: Arc::default() }
    }
}

impl Slots {
    /// A place for a connection; none when there is none left, in all or for this address.
    fn take(&self, address: IpAddr, most: u32) -> Option<Slot> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Slot { slots: self.clone(), address, _permit: permit })
    }
}

/// A connection's place, given back when it ends.
struct Slot {
    slots: Slots,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut by_address = self.slots.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::ClientAddress;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Served {
        address: std::net::SocketAddr,
        soft: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn served(header_timeout: Duration) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let soft = CancellationToken::new();
        let told = |ClientAddress(address): ClientAddress| async move { address.to_string() };
        let router = Router::new()
            .route("/", axum::routing::get(|| async { "ok" }))
            .route("/address", axum::routing::get(told))
            .layer(axum::middleware::from_fn(|request, next| client_address::insert(Arc::default(), request, next)));
        let limits = Limits { header_timeout, proxies: Vec::new() };
        let task = tokio::spawn(accept(listener, router, limits, soft.clone(), CancellationToken::new()));
        Served { address, soft, task }
    }

    #[tokio::test]
    async fn a_client_that_trickles_its_headers_is_cut_off() {
        let served = served(Duration::from_millis(300)).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let start = Instant::now();
        let mut rest = Vec::new();
        // The server's answer to it (or silence) ends with the connection.
        let _ = tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut rest)).await.expect("cut off");
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_kept_connection_without_requests_ends_too() {
        let served = served(Duration::from_millis(300)).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut rest)).await.expect("ended").unwrap();
        assert!(String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_request_knows_the_other_end_of_its_connection_and_believes_no_header() {
        let served = served(Duration::from_secs(10)).await;
        let mut client = TcpStream::connect(served.address).await.unwrap();
        let request = b"GET /address HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("127.0.0.1"), "{answer}");
    }

    #[tokio::test]
    async fn a_stop_drains_and_returns() {
        let served = served(Duration::from_secs(10)).await;
        let idle = TcpStream::connect(served.address).await.unwrap();
        served.soft.cancel();
        tokio::time::timeout(Duration::from_secs(12), served.task).await.expect("returned").unwrap();
        drop(idle);
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let slots = Slots::default();
        let greedy: IpAddr = [10, 0, 0, 1].into();
        let held: Vec<_> = std::iter::from_fn(|| slots.take(greedy, CONNECTIONS_PER_ADDRESS)).collect();
        assert_eq!(held.len(), CONNECTIONS_PER_ADDRESS as usize);
        assert!(slots.take([10, 0, 0, 2].into(), CONNECTIONS_PER_ADDRESS).is_some());
        drop(held);
        assert!(slots.take(greedy, CONNECTIONS_PER_ADDRESS).is_some());
    }
}
