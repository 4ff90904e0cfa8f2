//! `operator`: the api's listener for those who run the installation. Never the public one.

use crate::reader::Reader;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorConfig {
    /// Where `/metrics` and `/api/system` are served; none = nowhere.
    pub listen: Option<SocketAddr>,
    /// What absolute links of this listener start with; without it, a Host of `http.allowed_hosts`.
    pub public_url: Option<Url>,
    /// A file with what a reader of `/metrics` must send as its bearer; none = it is open to whoever reaches the listener.
    pub metrics_token_file: Option<PathBuf>,
    /// Of how many tasks `/metrics` has series.
    pub metrics_tasks: u32,
}

impl OperatorConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let listen = reader.optional("operator.listen");
        let public_url = reader.optional("operator.public_url");
        let metrics_token_file = reader.optional("operator.metrics_token_file");
        let metrics_tasks = reader.within("operator.metrics_tasks", 0..=100_000);
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            metrics_token_file: metrics_token_file?,
            metrics_tasks: metrics_tasks?,
        })
    }
}
