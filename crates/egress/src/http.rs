//! HTTP to addresses that a tenant chose. No request may leave past the guard: names are resolved by it alone, an
//! address in the URL is judged before a connection is made, no redirect is followed, no proxy is used, nothing is
//! decompressed, and TLS is always verified.

use crate::{EgressError, EgressGuard};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Request, Response, Url};
use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a connection may take, with its look-up and TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// An idle connection is kept for the next request so long; servers drop theirs after a minute or so.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// Why there is no answer. No text in it is the peer's.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is none that may be asked.
    #[error("the address must be http or https, with a host, without user or password")]
    Url,
    /// The guard said no, or the name has no address.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The peer's certificate, or its TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The connection ended, or carried no HTTP.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// A client for one tenant-chosen peer after another. Cloning shares its connections.
#[derive(Clone)]
pub struct GuardedHttp {
    client: Client,
    guard: EgressGuard,
}

impl GuardedHttp {
    /// A client behind `guard`. Reads the system's certificates; on a machine without any, every certificate is refused
    /// and plain http works.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(guard: EgressGuard) -> Result<Self, HttpError> {
        Self::with_connect_limit(guard, CONNECT_LIMIT)
    }

    /// The same, with less (or more) patience for a connection, its look-up and TLS included.
    ///
    /// # Errors
    /// As [`GuardedHttp::new`].
    pub fn with_connect_limit(guard: EgressGuard, connect_limit: Duration) -> Result<Self, HttpError> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .connect_timeout(connect_limit)
                .pool_idle_timeout(IDLE_LIMIT)
                .dns_resolver(GuardedNames(guard.clone()))
        };
        let built = builder().build().or_else(|_| builder().tls_certs_only([]).build());
        let client = built.map_err(|e| HttpError::Tls(innermost(&e)))?;
        Ok(Self { client, guard })
    }

    /// Sends `request` and returns when the answer's headers are there. The answer's length, content and pace are the
    /// peer's: the caller bounds all three.
    ///
    /// # Errors
    /// [`HttpError`]; `Url` and `Egress` mean that not one packet was sent.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        self.judge(request.url())?;
        let response = self.client.execute(request).await.map_err(|e| sort(&e))?;
        match response.remote_addr() {
            Some(peer) if !self.guard.allows(peer.ip()) => {
                Err(EgressError::Blocked { host: peer.ip().to_string(), address: peer.ip() }.into())
            }
            _ => Ok(response),
        }
    }

    /// The resolver is never asked about an address, so an address is judged here, as the URL parser understood it.
    fn judge(&self, url: &Url) -> Result<(), HttpError> {
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.port_or_known_default().is_some_and(|port| port != 0);
        let host = url.host_str().filter(|_| is_plain).ok_or(HttpError::Url)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.guard.allows(address) => {
                Err(EgressError::Blocked { host: host.to_owned(), address }.into())
            }
            _ => Ok(()),
        }
    }
}

/// The guard as the client's only resolver: the connection goes to an address that was vetted here.
struct GuardedNames(EgressGuard);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            // The client puts the URL's port in the place of 0; the guard refuses 0, so it is asked with another.
            let vetted = guard.resolve(name.as_str(), 443).await?;
            let addresses = vetted.into_iter().map(|address| SocketAddr::new(address.ip(), 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// What was behind the client's error: it has no type for these, but keeps the cause.
fn sort(error: &reqwest::Error) -> HttpError {
    let mut cause = beneath(error);
    while let Some(inner) = cause {
        if let Some(egress) = inner.downcast_ref::<EgressError>() {
            return HttpError::Egress(egress.again());
        }
        if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return HttpError::Tls(tls.to_string());
        }
        cause = beneath(inner);
    }
    if error.is_connect() { HttpError::Connect(innermost(error)) } else { HttpError::Broken(innermost(error)) }
}

/// The last cause's text: those above it repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut last = None;
    let mut cause = beneath(error);
    while let Some(inner) = cause {
        last = Some(inner);
        cause = beneath(inner);
    }
    last.map_or_else(|| "no reason was given".to_owned(), ToString::to_string)
}

/// The next cause. An I/O error leaves out the error that it carries when it is asked for its source.
fn beneath<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    carried.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EgressDefault;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn client(allow: &[&str]) -> GuardedHttp {
        let allow = allow.iter().map(|net| net.parse().expect("a range")).collect();
        GuardedHttp::new(EgressGuard::new(EgressDefault::PrivateToo, allow)).expect("a client")
    }

    fn get(url: &str) -> Request {
        Request::new(reqwest::Method::GET, url.parse().expect("a URL"))
    }

    /// Answers every connection with `answer`, and counts them.
    async fn peer(answer: String) -> (u16, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, seen)
    }

    #[tokio::test]
    async fn no_spelling_of_a_blocked_address_is_connected_to() {
        let (port, seen) = peer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        let client = client(&[]);
        for host in
            ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "①②⑦.⓪.⓪.①", "0"]
        {
            let error = client.send(get(&format!("http://{host}:{port}/"))).await.expect_err(host);
            assert!(matches!(error, HttpError::Egress(_)), "{host}: {error}");
        }
        for url in [format!("http://user@127.0.0.1:{port}/"), format!("ftp://127.0.0.1:{port}/"), "http://h:0/".into()]
        {
            assert!(matches!(client.send(get(&url)).await.expect_err(&url), HttpError::Url), "{url}");
        }
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 0, "the canary was reached");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let (canary, seen) = peer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        let to = format!("HTTP/1.1 307 x\r\nlocation: http://127.0.0.2:{canary}/\r\ncontent-length: 0\r\n\r\n");
        let (port, _) = peer(to).await;
        let response = client(&["127.0.0.0/8"]).send(get(&format!("http://localhost:{port}/"))).await.expect("answers");
        assert_eq!(response.status().as_u16(), 307);
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 0, "it was followed");
    }

    #[tokio::test]
    async fn what_fails_is_told_apart() {
        let client = client(&["127.0.0.0/8", "::1/128"]);
        let error = client.send(get("http://no-such-host.invalid/")).await.expect_err("no address");
        assert!(matches!(error, HttpError::Egress(EgressError::Unresolvable { .. })), "{error}");
        let shut = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
        let error = client.send(get(&format!("http://{shut}/"))).await.expect_err("shut");
        assert!(matches!(error, HttpError::Connect(_)), "{error}");
        let (port, _) = peer("no http at all\r\n\r\n".to_owned()).await;
        let error = client.send(get(&format!("http://127.0.0.1:{port}/"))).await.expect_err("no HTTP");
        assert!(matches!(error, HttpError::Broken(_)), "{error}");
        let error = client.send(get(&format!("https://127.0.0.1:{port}/"))).await.expect_err("no TLS");
        assert!(matches!(error, HttpError::Tls(_)), "{error}");
        assert!(!error.to_string().contains("https://"), "{error}");
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let openssl = |arguments: &[&str]| {
            let mut command = tokio::process::Command::new("openssl");
            command.args(arguments).current_dir(folder.path()).stdin(std::process::Stdio::null()).kill_on_drop(true);
            command
        };
        let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1", "-addext"];
        let mut make = openssl(&make);
        let made = make.args(["subjectAltName=DNS:localhost", "-keyout", "key", "-out", "cert"]).output().await;
        assert!(made.expect("openssl").status.success());
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address");
        let serve = ["s_server", "-quiet", "-www", "-key", "key", "-cert", "cert", "-accept"];
        let _server = openssl(&serve).arg(free.port().to_string()).spawn().expect("openssl");
        let limit = std::time::Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(free).await.is_err() && std::time::Instant::now() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let url = format!("https://localhost:{}/", free.port());
        let error = client(&["127.0.0.0/8", "::1/128"]).send(get(&url)).await.expect_err("a stranger");
        assert!(matches!(&error, HttpError::Tls(text) if text.contains("certificate")), "{error}");
    }
}
