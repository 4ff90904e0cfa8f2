//! `http`: the api's public listener.

use crate::reader::Reader;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Where the api listens.
    pub listen: SocketAddr,
    /// The certificate's file, where the api does TLS itself; there whenever `tls_key_file` is.
    pub tls_cert_file: Option<PathBuf>,
    /// The file with the certificate's key.
    pub tls_key_file: Option<PathBuf>,
    /// What absolute links start with; without it, a Host of `allowed_hosts`.
    pub public_url: Option<Url>,
    /// Hosts a request may name when there is no `public_url`; without port, lower case.
    pub allowed_hosts: Vec<String>,
    /// Reverse proxies: one such address may hold any number of connections.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once of one listener, all clients together.
    pub max_connections: u32,
    /// Connections at once of one address that is no trusted proxy.
    pub max_connections_per_address: u32,
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
    /// How long a client may take to read a part of its answer.
    pub write_timeout: Duration,
    /// Streams of live events at once of one api process.
    pub event_streams: u32,
    /// Of these, of one team.
    pub event_streams_per_team: u32,
    /// Of these, of one person in one team.
    pub event_streams_per_user: u32,
}

impl HttpConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let listen = reader.required("http.listen");
        let tls_cert_file = reader.optional::<PathBuf>("http.tls_cert_file");
        let tls_key_file = reader.optional::<PathBuf>("http.tls_key_file");
        let public_url = reader.optional::<Url>("http.public_url");
        let allowed_hosts = reader.required::<Vec<String>>("http.allowed_hosts");
        let trusted_proxies = reader.required("http.trusted_proxies");
        let max_connections = reader.within("http.max_connections", 1..=1_000_000);
        let max_connections_per_address = reader.within("http.max_connections_per_address", 1..=1_000_000);
        let rate_limit_per_min = reader.within("http.rate_limit_per_min", 0..=1_000_000);
        let session_rate_limit_per_min = reader.within("http.session_rate_limit_per_min", 0..=1_000_000);
        let run_rate_limit_per_min = reader.within("http.run_rate_limit_per_min", 0..=1_000_000);
        let webhook_secret_in_query = reader.required("http.webhook_secret_in_query");
        let login_rate_limit_per_min = reader.within("http.login_rate_limit_per_min", 1..=10_000);
        let max_body_bytes = reader.within("http.max_body_bytes", 16_384..=104_857_600);
        let seconds = |from: u64, to| Duration::from_secs(from)..=Duration::from_secs(to);
        let header_timeout = reader.within("http.header_timeout_secs", seconds(1, 120));
        let request_timeout = reader.within("http.request_timeout_secs", seconds(1, 600));
        let write_timeout = reader.within("http.write_timeout_secs", seconds(1, 3_600));
        let event_streams = reader.within("http.event_streams", 0..=1_000_000);
        let event_streams_per_team = reader.within("http.event_streams_per_team", 0..=1_000_000);
        let event_streams_per_user = reader.within("http.event_streams_per_user", 0..=1_000_000);
        if let (Some(cert), Some(key)) = (&tls_cert_file, &tls_key_file)
            && cert.is_some() != key.is_some()
        {
            reader.conflict("http.tls_cert_file", "and `http.tls_key_file` are set together or not at all");
        }
        if let (Some(Some(_)), Some(url)) = (&tls_cert_file, &public_url)
            && url.as_ref().is_none_or(|url| url.scheme() != "https")
        {
            reader.conflict("http.public_url", "must begin with https:// where `http.tls_cert_file` is set");
        }
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
            tls_cert_file: tls_cert_file?,
            tls_key_file: tls_key_file?,
            public_url: public_url?,
            allowed_hosts,
            trusted_proxies: trusted_proxies?,
            max_connections: max_connections?,
            max_connections_per_address: max_connections_per_address?,
            rate_limit_per_min: rate_limit_per_min?,
            session_rate_limit_per_min: session_rate_limit_per_min?,
            run_rate_limit_per_min: run_rate_limit_per_min?,
            webhook_secret_in_query: webhook_secret_in_query?,
            login_rate_limit_per_min: login_rate_limit_per_min?,
            max_body_bytes: max_body_bytes?,
            header_timeout: header_timeout?,
            request_timeout: request_timeout?,
            write_timeout: write_timeout?,
            event_streams: event_streams?,
            event_streams_per_team: event_streams_per_team?,
            event_streams_per_user: event_streams_per_user?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn errors(env: &[(&str, &str)]) -> Vec<String> {
        let env = env.iter().map(|(key, value)| (format!("HOLDFAST__HTTP__{key}"), (*value).to_owned()));
        Config::load(None, env).err().map_or(Vec::new(), |errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn tls_needs_both_files_and_an_address_that_says_so() {
        let (cert, key) = (("TLS_CERT_FILE", "/c"), ("TLS_KEY_FILE", "/k"));
        assert!(errors(&[cert, key, ("PUBLIC_URL", "https://b.example")]).is_empty());
        for (env, wanted) in [
            (vec![cert, ("PUBLIC_URL", "https://b.example")], "http.tls_key_file"),
            (vec![key], "http.tls_key_file"),
            (vec![cert, key], "http.public_url"),
            (vec![cert, key, ("PUBLIC_URL", "http://b.example")], "http.public_url"),
        ] {
            let told = errors(&env);
            assert!(told.len() == 1 && told[0].contains(wanted), "{env:?}: {told:?}");
        }
    }
}
