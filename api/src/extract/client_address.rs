//! Where a request comes from. A header that names an address is a claim of whoever sent it: it is believed only when the
//! socket's peer is one of `http.trusted_proxies`, and only as far as those proxies wrote it. Nothing here may be used for
//! links: those come from `http.public_url` or `http.allowed_hosts` alone (`crate::links`).

use crate::problem::Problem;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of the connection, put into every request by the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Where the request comes from: the socket's peer, or behind trusted proxies the right-most address that is none of
/// them. An extension of every request, for guards; an extractor, for handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| Problem::internal_text("the request has no client address"))
    }
}

/// Puts the [`ClientAddress`] into a request. Without a [`Peer`] (a router called in process) it is 0.0.0.0, which is no
/// proxy, so that no header counts.
pub(crate) async fn insert(proxies: Arc<[IpNet]>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let address = resolve(peer, request.headers(), &proxies);
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

/// Whether `address` is one of `proxies`, also where it is written as an IPv6 address.
pub(crate) fn is_trusted(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|range| range.contains(&address))
}

/// From the right, as the proxies appended them: the first address that is no proxy. What is no address ends the walk,
/// because whatever stands left of it was not written by a proxy of ours.
fn resolve(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, proxies) {
        return client;
    }
    let lines = headers.get_all(&FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops {
        let Some(address) = parse(hop.trim()) else { break };
        client = address;
        if !is_trusted(client, proxies) {
            break;
        }
    }
    client
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, lines: &[&str]) -> String {
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().map(|range| range.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        headers.insert("x-real-ip", "203.0.113.99".parse().unwrap());
        headers.insert("forwarded", "for=203.0.113.98".parse().unwrap());
        resolve(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn whoever_is_no_proxy_cannot_choose_an_address() {
        assert_eq!(seen("198.51.100.7", &["203.0.113.1"]), "198.51.100.7");
        assert_eq!(seen("::1", &["203.0.113.1, 10.0.0.1"]), "::1");
    }

    #[test]
    fn behind_a_proxy_it_is_the_rightmost_address_that_is_no_proxy() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.1"]), "203.0.113.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.1"]), "203.0.113.1", "what the client sent itself");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.1, 10.0.0.2"]), "203.0.113.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "203.0.113.1", "10.0.0.2"]), "203.0.113.1", "several headers");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.1"]), "203.0.113.1", "a proxy over a dual-stack socket");
        assert_eq!(seen("fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "only proxies: the farthest");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_taken_off() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.1:4711"]), "203.0.113.1");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]:443"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["::ffff:203.0.113.1"]), "203.0.113.1", "one client, one spelling");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        for garbage in ["unknown", "", "203.0.113.1, x", "203.0.113.1 10.0.0.9", "203.0.113.1,", "_hidden", "999.1.1.1"]
        {
            assert_eq!(seen("10.0.0.1", &[garbage]), "10.0.0.1", "{garbage:?}");
        }
        assert_eq!(seen("10.0.0.1", &["203.0.113.1, x, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn bytes_that_are_no_text_end_the_walk_too() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", axum::http::HeaderValue::from_bytes(b"203.0.113.1, \xff").unwrap());
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(resolve([10, 0, 0, 1].into(), &headers, &proxies).to_string(), "10.0.0.1");
    }
}
