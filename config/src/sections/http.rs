//! `http`: the api's public listener.

use crate::reader::Reader;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Where the api listens.
    pub listen: SocketAddr,
    /// What absolute links start with; without it, a Host of `allowed_hosts`.
    pub public_url: Option<Url>,
    /// Hosts a request may name when there is no `public_url`; without port, lower case.
    pub allowed_hosts: Vec<String>,
    /// Reverse proxies: one such address may hold any number of connections.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests a minute for one user by token; 0 = no limit of any kind.
    pub rate_limit_per_min: u32,
    /// Requests a minute for one user by session; 0 = no limit.
    pub session_rate_limit_per_min: u32,
    /// Starts of runs a minute for one user; 0 = no limit.
    pub run_rate_limit_per_min: u32,
    /// Whether the secret of a task's webhook may stand in the address.
    pub webhook_secret_in_query: bool,
    /// Tries of a password, a code or another secret a minute, for one account or client.
    pub login_rate_limit_per_min: u32,
    /// Largest body of a request.
    pub max_body_bytes: u32,
    /// How long a client may take for its headers.
    pub header_timeout: Duration,
    /// How long a request may take until its answer begins.
    pub request_timeout: Duration,
}

impl HttpConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let listen = reader.required("http.listen");
        let public_url = reader.optional("http.public_url");
        let allowed_hosts = reader.required::<Vec<String>>("http.allowed_hosts");
        let trusted_proxies = reader.required("http.trusted_proxies");
        let rate_limit_per_min = reader.within("http.rate_limit_per_min", 0..=1_000_000);
        let session_rate_limit_per_min = reader.within("http.session_rate_limit_per_min", 0..=1_000_000);
        let run_rate_limit_per_min = reader.within("http.run_rate_limit_per_min", 0..=1_000_000);
        let webhook_secret_in_query = reader.required("http.webhook_secret_in_query");
        let login_rate_limit_per_min = reader.within("http.login_rate_limit_per_min", 1..=10_000);
        let max_body_bytes = reader.within("http.max_body_bytes", 16_384..=104_857_600);
        let seconds = |from: u64, to| Duration::from_secs(from)..=Duration::from_secs(to);
        let header_timeout = reader.within("http.header_timeout_secs", seconds(1, 120));
        let request_timeout = reader.within("http.request_timeout_secs", seconds(1, 600));
        let allowed_hosts: Vec<String> = allowed_hosts?.iter().map(|host| host.to_ascii_lowercase()).collect();
        let is_host = |host: &String| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
        };
        if let Some(bad) = allowed_hosts.iter().find(|host| !is_host(host)) {
            reader.conflict("http.allowed_hosts", format!("has {bad:?}, which is not a host name"));
        }
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            allowed_hosts,
            trusted_proxies: trusted_proxies?,
            rate_limit_per_min: rate_limit_per_min?,
            session_rate_limit_per_min: session_rate_limit_per_min?,
            run_rate_limit_per_min: run_rate_limit_per_min?,
            webhook_secret_in_query: webhook_secret_in_query?,
            login_rate_limit_per_min: login_rate_limit_per_min?,
            max_body_bytes: max_body_bytes?,
            header_timeout: header_timeout?,
            request_timeout: request_timeout?,
        })
    }
}
