//! The connections of one listener. `axum::serve` sets no timers, so one slow header line per ten seconds kept a
//! connection for ever: here headers have `http.header_timeout_secs`, an idle connection too, the head of a request has a
//! size, and an address has a bounded number of connections. No client may hold more than that.

use crate::extract::client_address::{self, Peer};
use crate::head_limits::HEADERS_MAX;
use crate::metrics::ListenerMetrics;
use crate::tls::Tls;
use crate::write_deadline::WriteDeadline;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Layer;

/// How long requests under way may take once the process is asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept (out of descriptors) wait a little instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The head of a request is read into it; a larger one is refused unread. Room for an address of 64 KiB, so that one too
/// long is called that.
const HEAD_MAX_BYTES: usize = 80 * 1024;
/// Headers are counted up to here; `head_limits` refuses more than half of it with a sentence.
const HEADERS_READ: usize = 2 * HEADERS_MAX;

/// What a client may take.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    /// For the headers of one request, for a TLS handshake, and for being idle.
    pub(crate) header_timeout: Duration,
    /// For a part of an answer to leave; a client that does not read is cut off.
    pub(crate) write_timeout: Duration,
    /// `http.trusted_proxies`: one address that stands for many clients.
    pub(crate) proxies: Vec<IpNet>,
    /// Connections at once, all clients together.
    pub(crate) connections: u32,
    /// Connections at once of one address; a trusted proxy is not counted.
    pub(crate) connections_per_address: u32,
    /// Where this listener does TLS itself.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// How a listener is told to end.
#[derive(Clone)]
pub struct Stop {
    /// No new connections; requests under way end.
    pub soft: CancellationToken,
    /// At once.
    pub hard: CancellationToken,
}

/// Serves `router` on `listener` until `stop`.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    metrics: ListenerMetrics,
    stop: Stop,
) {
    let graceful = GracefulShutdown::new();
    let slots = Slots::new(limits.connections, metrics.clone());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.soft.cancelled() => break,
            () = stop.hard.cancelled() => break,
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
        let most = if is_proxy { u32::MAX } else { limits.connections_per_address };
        let Some(slot) = slots.take(address, most) else {
            metrics.refused.inc();
            continue;
        };
        let opened = Opened { router: router.clone(), limits: limits.clone(), watcher: graceful.watcher(), slot };
        connections.spawn(opened.serve(stream));
    }
    drop(listener);
    let drained = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    tokio::select! {
        () = drained => {}
        () = stop.hard.cancelled() => tracing::warn!("stopping without waiting for requests under way"),
        () = tokio::time::sleep(DRAIN_TIMEOUT) => tracing::warn!("requests under way did not end in time"),
    }
    // Dropping the set ends whatever is left.
}

/// A connection that has its place.
struct Opened {
    router: Router,
    limits: ConnectionLimits,
    watcher: Watcher,
    slot: Slot,
}

impl Opened {
    /// To the connection's end.
    async fn serve(self, stream: TcpStream) {
        let Some(tls) = &self.limits.tls else { return self.requests(stream).await };
        let handshake = tls.acceptor().accept(stream);
        match tokio::time::timeout(self.limits.header_timeout, handshake).await {
            Ok(Ok(stream)) => self.requests(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS handshake"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn requests(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = Extension(Peer(self.slot.address)).layer(self.router);
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(HEADERS_READ)
            .max_buf_size(HEAD_MAX_BYTES)
            .serve_connection(
                TokioIo::new(WriteDeadline::new(stream, self.limits.write_timeout)),
                TowerToHyperService::new(service),
            );
        if let Err(error) = self.watcher.watch(serving).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

#[derive(Clone)]
struct Slots {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<IpAddr, u32>>>,
    metrics: ListenerMetrics,
}

impl Slots {
    fn new(most: u32, metrics: ListenerMetrics) -> Self {
        let most = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), by_address: Arc::default(), metrics }
    }

    /// A place for a connection; none when there is none left, in all or for this address.
    fn take(&self, address: IpAddr, most: u32) -> Option<Slot> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        self.metrics.open.inc();
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
        self.slots.metrics.open.dec();
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
    use crate::metrics::Metrics;
    use crate::tls::tests::write_certificate;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Served {
        address: SocketAddr,
        metrics: ListenerMetrics,
        stop: Stop,
        task: tokio::task::JoinHandle<()>,
    }

    fn limits() -> ConnectionLimits {
        let header_timeout = Duration::from_secs(10);
        ConnectionLimits {
            header_timeout,
            write_timeout: header_timeout,
            proxies: Vec::new(),
            connections: 100,
            connections_per_address: 100,
            tls: None,
        }
    }

    async fn served(limits: ConnectionLimits) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Stop { soft: CancellationToken::new(), hard: CancellationToken::new() };
        let told = |ClientAddress(address): ClientAddress| async move { address.to_string() };
        let router = Router::new()
            .route("/", axum::routing::get(|| async { "ok" }))
            .route("/address", axum::routing::get(told))
            .layer(axum::middleware::from_fn(|request, next| client_address::insert(Arc::default(), request, next)))
            .layer(axum::middleware::from_fn(crate::head_limits::check));
        let metrics = Metrics::new().listener("public");
        let task = tokio::spawn(accept(listener, router, limits, metrics.clone(), stop.clone()));
        Served { address, metrics, stop, task }
    }

    /// What comes back for these bytes until the connection ends.
    async fn answer(served: &Served, request: &[u8]) -> String {
        let (mut reads, mut writes) = TcpStream::connect(served.address).await.unwrap().into_split();
        let mut answer = Vec::new();
        // Both ends at once: what is refused unread is answered before it is written to its end.
        let write = async {
            let _ = writes.write_all(request).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = write => {}
            read = tokio::time::timeout(Duration::from_secs(20), reads.read_to_end(&mut answer)) => drop(read.unwrap()),
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(served: &Served, path: &str, headers: &str) -> String {
        answer(served, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").as_bytes()).await
    }

    /// Waits until so many connections are open.
    async fn until_open(served: &Served, wanted: i64) {
        let start = Instant::now();
        while served.metrics.open.get() != wanted {
            assert!(start.elapsed() < Duration::from_secs(10), "{} are open", served.metrics.open.get());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether the server has closed it without a word.
    async fn is_refused(mut client: TcpStream) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), client.read(&mut byte)).await.expect("an end");
        matches!(read, Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn an_address_that_is_too_long_is_a_414() {
        let served = served(limits()).await;
        let fits = get(&served, &format!("/?{}", "a".repeat(8_000)), "").await;
        assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
        let refused = get(&served, &format!("/?{}", "a".repeat(9_000)), "").await;
        assert!(refused.starts_with("HTTP/1.1 414") && refused.contains("\"code\":\"address_too_long\""), "{refused}");
        let unread = get(&served, &format!("/?{}", "a".repeat(70_000)), "").await;
        assert!(unread.starts_with("HTTP/1.1 414"), "{unread}");
    }

    #[tokio::test]
    async fn headers_that_are_too_long_or_too_many_are_a_431() {
        let served = served(limits()).await;
        let fits = get(&served, "/", &format!("X-A: {}\r\n", "a".repeat(30_000))).await;
        assert!(fits.starts_with("HTTP/1.1 200"), "{fits}");
        let many: String = (0..120).map(|n| format!("X-{n}: a\r\n")).collect();
        for headers in [format!("X-A: {}\r\n", "a".repeat(40_000)), many] {
            let refused = get(&served, "/", &headers).await;
            let is_ours = refused.contains("\"code\":\"headers_too_large\"");
            assert!(refused.starts_with("HTTP/1.1 431") && is_ours, "{refused}");
        }
        let many: String = (0..300).map(|n| format!("X-{n}: a\r\n")).collect();
        for headers in [format!("X-A: {}\r\n", "a".repeat(400_000)), many] {
            let unread = get(&served, "/", &headers).await;
            assert!(unread.starts_with("HTTP/1.1 431"), "{unread}");
        }
    }

    #[tokio::test]
    async fn a_client_that_trickles_its_headers_is_cut_off() {
        let served = served(ConnectionLimits { header_timeout: Duration::from_millis(300), ..limits() }).await;
        let start = Instant::now();
        let rest = answer(&served, b"GET / HTTP/1.1\r\nHost: x\r\n").await;
        assert!(start.elapsed() < Duration::from_secs(4) && !rest.contains("200"), "{rest}");
        until_open(&served, 0).await;
    }

    #[tokio::test]
    async fn a_kept_connection_without_requests_ends_too() {
        let served = served(ConnectionLimits { header_timeout: Duration::from_millis(300), ..limits() }).await;
        let rest = answer(&served, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
    }

    #[tokio::test]
    async fn a_request_knows_the_other_end_of_its_connection_and_believes_no_header() {
        let served = served(limits()).await;
        let answer = get(&served, "/address", "X-Forwarded-For: 203.0.113.1\r\n").await;
        assert!(answer.ends_with("127.0.0.1"), "{answer}");
    }

    #[tokio::test]
    async fn one_address_has_so_many_connections_and_gets_new_ones_when_old_ones_end() {
        let served = served(ConnectionLimits { connections_per_address: 2, ..limits() }).await;
        let held =
            [TcpStream::connect(served.address).await.unwrap(), TcpStream::connect(served.address).await.unwrap()];
        until_open(&served, 2).await;
        assert!(is_refused(TcpStream::connect(served.address).await.unwrap()).await);
        assert_eq!(served.metrics.refused.get(), 1);
        drop(held);
        until_open(&served, 0).await;
        assert!(get(&served, "/", "").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn all_together_have_so_many_connections_a_trusted_proxy_too() {
        let proxies = vec!["127.0.0.0/8".parse().unwrap()];
        let limits = ConnectionLimits { proxies, connections: 3, connections_per_address: 1, ..limits() };
        let served = served(limits).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(served.address).await.unwrap());
        }
        until_open(&served, 3).await;
        assert!(is_refused(TcpStream::connect(served.address).await.unwrap()).await);
        held.pop();
        until_open(&served, 2).await;
        assert!(get(&served, "/", "").await.starts_with("HTTP/1.1 200"));
    }

    /// What `GET /` is answered over TLS by whoever has this certificate.
    async fn get_over_tls(served: &Served, certificate: &str) -> std::io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(served.address).await?;
        let name = "localhost".try_into().unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn tls_by_file_takes_a_renewed_certificate_and_survives_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("crt"), folder.path().join("key"));
        let first = write_certificate(&cert, &key);
        let tls = Tls::load(&cert, &key, Duration::ZERO).unwrap();
        let header_timeout = Duration::from_millis(500);
        let served = served(ConnectionLimits { tls: Some(Arc::new(tls)), header_timeout, ..limits() }).await;
        assert!(get_over_tls(&served, &first).await.unwrap().starts_with("HTTP/1.1 200"));
        let plain = get(&served, "/", "").await;
        assert!(!plain.contains("200"), "{plain}");
        let silent = TcpStream::connect(served.address).await.unwrap();
        assert!(is_refused(silent).await, "a handshake has as long as headers have");

        std::fs::write(&cert, "nothing that is a certificate").unwrap();
        assert!(get_over_tls(&served, &first).await.unwrap().starts_with("HTTP/1.1 200"), "the last good one goes on");
        let second = write_certificate(&cert, &key);
        assert!(get_over_tls(&served, &first).await.is_err());
        assert!(get_over_tls(&served, &second).await.unwrap().starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_stop_drains_and_returns() {
        let served = served(limits()).await;
        let idle = TcpStream::connect(served.address).await.unwrap();
        served.stop.soft.cancel();
        tokio::time::timeout(Duration::from_secs(12), served.task).await.expect("returned").unwrap();
        drop(idle);
    }
}
