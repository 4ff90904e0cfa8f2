//! Absolute links. A `Host` header is believed only when the operator listed it: otherwise a client could make us
//! hand out links to a host of its choice.

use axum::http::{HeaderMap, header};

/// Where this installation is reached from outside.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// `http.public_url`, without a slash at its end.
    pub public_url: Option<String>,
    /// `http.allowed_hosts`: without port.
    pub allowed_hosts: Vec<String>,
}

impl Origin {
    /// Whether people reach us over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Whether `from`, an `Origin` header, names us: as `public_url` does, or as the `Host` of this very request does
    /// where that is a listed one.
    #[must_use]
    pub fn is_ours(&self, from: &str, headers: &HeaderMap) -> bool {
        let public = self.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        if public.is_some_and(|url| url.origin().ascii_serialization() == from) {
            return true;
        }
        let named = from.split_once("://").map(|(_, name)| name);
        self.listed_host(headers).is_some_and(|host| named.is_some_and(|name| name.eq_ignore_ascii_case(host)))
    }

    /// The `Host` header, if it is one of `allowed_hosts`.
    fn listed_host<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| {
            let name = without_port(host);
            name.is_some_and(|name| self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
        })
    }

    /// What stands before `/api/…`; empty (links without a host) when nothing is known for sure.
    #[must_use]
    pub fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        self.listed_host(headers).map(|host| format!("http://{}", host.to_ascii_lowercase())).unwrap_or_default()
    }
}

/// The name in `name`, `name:port`, `[v6]` or `[v6]:port`; none where the port is no number.
fn without_port(host: &str) -> Option<&str> {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (!port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())).then_some(name)
        }
        _ => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn from(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn only_a_listed_host_is_believed_and_the_public_url_wins() {
        let mut origin = Origin { public_url: None, allowed_hosts: vec!["backup.example".into(), "[::1]".into()] };
        assert_eq!(origin.base(&from("Backup.example:8080")), "http://backup.example:8080");
        assert_eq!(origin.base(&from("[::1]:80")), "http://[::1]:80");
        for bad in ["evil.example", "backup.example:80@evil.example", "backup.example:", "backup.example/x:1"] {
            assert_eq!(origin.base(&from(bad)), "", "{bad}");
        }
        origin.public_url = Some("https://b.example/".into());
        assert_eq!(origin.base(&from("evil.example")), "https://b.example");
    }
}
