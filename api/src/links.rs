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
    /// What stands before `/api/…`; empty (links without a host) when nothing is known for sure.
    #[must_use]
    pub fn base(&self, headers: &HeaderMap) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .filter(|host| {
                let name = without_port(host);
                name.is_some_and(|name| self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
            })
            .map(|host| format!("http://{}", host.to_ascii_lowercase()))
            .unwrap_or_default()
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
