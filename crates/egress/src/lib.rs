//! The one guard in front of every address a tenant chose.
//!
//! A name is resolved once; if *any* answer is blocked nothing is connected; the connection goes to an address that was
//! vetted (no second look-up that could answer otherwise), and the peer's address is compared again afterwards.
//! Nothing here reads a proxy from the environment, and nothing may open a tenant-chosen connection past it.

mod http;

pub use http::{GuardedHttp, HttpError};

use ipnet::IpNet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Why no connection was made.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The name has no address, or is not a name.
    #[error("{host} has no address")]
    Unresolvable {
        /// What was asked for.
        host: String,
    },
    /// One of the name's addresses may not be reached from here.
    #[error("{host} is {address}, which may not be reached from here")]
    Blocked {
        /// What was asked for.
        host: String,
        /// The first blocked answer.
        address: IpAddr,
    },
    /// No vetted address accepted in time.
    #[error("no connection to {host} port {port}: {source}")]
    Unreachable {
        /// What was asked for.
        host: String,
        /// Its port.
        port: u16,
        /// The last address's answer.
        source: io::Error,
    },
}

impl EgressError {
    /// The same once more, for an error that is only lent.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Unresolvable { host } => Self::Unresolvable { host: host.clone() },
            Self::Blocked { host, address } => Self::Blocked { host: host.clone(), address: *address },
            Self::Unreachable { host, port, source } => {
                Self::Unreachable { host: host.clone(), port: *port, source: source.kind().into() }
            }
        }
    }
}

/// What is allowed without the operator saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EgressDefault {
    /// Only public addresses: `holdfast api` and `holdfast worker`.
    PublicOnly,
    /// Private networks too (10/8, 172.16/12, 192.168/16, fc00::/7): `holdfast up` on one's own machine. Loopback,
    /// link-local and metadata addresses stay blocked.
    PrivateToo,
}

/// Blocked unless allowed by the operator: everything that is not a public unicast address, from the IANA special-purpose
/// registries, and the translation prefixes through which a v4 address could be reached under another name.
const BLOCKED: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// What [`EgressDefault::PrivateToo`] takes out of [`BLOCKED`].
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// Instance-metadata services that live inside a private range (AWS over IPv6): never by default.
const METADATA: &[&str] = &["fd00:ec2::254/128"];

/// Decides which addresses may be reached, and connects to them.
#[derive(Clone, Debug)]
pub struct EgressGuard {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    allow: Vec<IpNet>,
    private: Vec<IpNet>,
    metadata: Vec<IpNet>,
    blocked: Vec<IpNet>,
}

impl EgressGuard {
    /// A guard with `default`, and with what the operator allowed by `egress.allow` on top of it.
    #[must_use]
    pub fn new(default: EgressDefault, allow: Vec<IpNet>) -> Self {
        let private = match default {
            EgressDefault::PublicOnly => Vec::new(),
            EgressDefault::PrivateToo => parse(PRIVATE),
        };
        Self { rules: Arc::new(Rules { allow, private, metadata: parse(METADATA), blocked: parse(BLOCKED) }) }
    }

    /// Whether `address` may be reached. A v4 address in v6 clothes is judged as the v4 address it is.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = unmapped(address);
        let in_any = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if in_any(&self.rules.allow) {
            return true;
        }
        if in_any(&self.rules.metadata) {
            return false;
        }
        in_any(&self.rules.private) || !in_any(&self.rules.blocked)
    }

    /// Connects to `host` (a name or an address) within `timeout`, which covers the look-up and all addresses together.
    ///
    /// # Errors
    /// [`EgressError`]; `Blocked` means that not one packet was sent.
    pub async fn connect(&self, host: &str, port: u16, timeout: Duration) -> Result<TcpStream, EgressError> {
        let unreachable = |source| EgressError::Unreachable { host: host.to_owned(), port, source };
        let attempt = async {
            let addresses = self.resolve(host, port).await?;
            let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
            for address in addresses {
                match TcpStream::connect(address).await {
                    Ok(stream) => return self.recheck(host, stream),
                    Err(error) => last = error,
                }
            }
            Err(unreachable(last))
        };
        match tokio::time::timeout(timeout, attempt).await {
            Ok(result) => result,
            Err(_) => Err(unreachable(io::Error::from(io::ErrorKind::TimedOut))),
        }
    }

    /// Every address of `host`, all of them vetted.
    ///
    /// # Errors
    /// As [`EgressGuard::connect`].
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let unresolvable = || EgressError::Unresolvable { host: host.to_owned() };
        if host.is_empty()
            || port == 0
            || host.contains(|c: char| c.is_control() || c.is_whitespace() || "/@%".contains(c))
        {
            return Err(unresolvable());
        }
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let addresses: Vec<SocketAddr> =
            tokio::net::lookup_host((bare, port)).await.map_err(|_| unresolvable())?.collect();
        if addresses.is_empty() {
            return Err(unresolvable());
        }
        // One bad answer spoils the name: a name that is public and private at once is the mark of rebinding.
        match addresses.iter().find(|a| !self.allows(a.ip())) {
            Some(blocked) => Err(EgressError::Blocked { host: host.to_owned(), address: blocked.ip() }),
            None => Ok(addresses),
        }
    }

    fn recheck(&self, host: &str, stream: TcpStream) -> Result<TcpStream, EgressError> {
        let unreachable = |source| EgressError::Unreachable { host: host.to_owned(), port: 0, source };
        let peer = stream.peer_addr().map_err(unreachable)?;
        if self.allows(peer.ip()) {
            Ok(stream)
        } else {
            Err(EgressError::Blocked { host: host.to_owned(), address: peer.ip() })
        }
    }
}

/// `::ffff:a.b.c.d` and the deprecated `::a.b.c.d` as the v4 address.
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if v6 == Ipv6Addr::UNSPECIFIED || v6 == Ipv6Addr::LOCALHOST {
        return address;
    }
    v6.to_ipv4().map_or(address, IpAddr::V4)
}

fn parse(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().expect("the tables above are valid CIDRs, as the tests read them all")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(default: EgressDefault, allow: &[&str]) -> EgressGuard {
        EgressGuard::new(default, allow.iter().map(|n| n.parse().unwrap()).collect())
    }

    fn allows(guard: &EgressGuard, address: &str) -> bool {
        guard.allows(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_pass_by_default() {
        let guard = guard(EgressDefault::PublicOnly, &[]);
        for open in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(allows(&guard, open), "{open}");
        }
        for shut in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(&guard, shut), "{shut}");
        }
    }

    #[test]
    fn private_too_still_keeps_loopback_link_local_and_metadata_shut() {
        let guard = guard(EgressDefault::PrivateToo, &[]);
        for open in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1", "1.1.1.1"] {
            assert!(allows(&guard, open), "{open}");
        }
        for shut in [
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::ffff:127.0.0.1",
            "100.64.0.1",
        ] {
            assert!(!allows(&guard, shut), "{shut}");
        }
    }

    #[test]
    fn the_operator_opens_exactly_what_is_named() {
        let guard = guard(EgressDefault::PublicOnly, &["127.0.0.2/32", "10.5.0.0/16"]);
        assert!(allows(&guard, "127.0.0.2") && allows(&guard, "10.5.9.9") && allows(&guard, "::ffff:10.5.9.9"));
        assert!(!allows(&guard, "127.0.0.1") && !allows(&guard, "10.6.0.1"));
    }

    #[tokio::test]
    async fn a_blocked_address_sees_no_connection_in_any_spelling() {
        let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = canary.local_addr().unwrap().port();
        let guard = guard(EgressDefault::PrivateToo, &[]);
        for host in
            ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]", "0"]
        {
            let error = guard.connect(host, port, Duration::from_secs(5)).await.expect_err(host);
            assert!(matches!(error, EgressError::Blocked { .. } | EgressError::Unresolvable { .. }), "{host}: {error}");
        }
        let seen = tokio::time::timeout(Duration::from_millis(100), canary.accept()).await;
        assert!(seen.is_err(), "the canary was reached");
    }

    #[tokio::test]
    async fn an_allowed_address_is_reached_and_a_shut_port_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let guard = guard(EgressDefault::PublicOnly, &["127.0.0.0/8", "::1/128"]);
        guard.connect("127.0.0.1", port, Duration::from_secs(5)).await.unwrap();
        drop(listener);
        let error = guard.connect("127.0.0.1", port, Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(error, EgressError::Unreachable { .. }), "{error}");
        for odd in ["", "a b", "user@127.0.0.1", "127.0.0.1/x", "no-such-host.invalid"] {
            let error = guard.connect(odd, 22, Duration::from_secs(10)).await.unwrap_err();
            assert!(matches!(error, EgressError::Unresolvable { .. }), "{odd}: {error}");
        }
    }
}
