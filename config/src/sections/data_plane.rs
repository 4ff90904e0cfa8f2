//! `data_plane`: the workers' internal listener, which streams to the api.

use crate::reader::Reader;
use std::net::SocketAddr;
use url::Url;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct DataPlaneConfig {
    /// Where a worker listens; port 0 = any free one.
    pub listen: SocketAddr,
    /// What the api is told to call; without it, the address that was bound.
    pub advertise_url: Option<Url>,
}

impl DataPlaneConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let listen: Option<SocketAddr> = reader.required("data_plane.listen");
        let advertise_url = reader.optional("data_plane.advertise_url");
        let (listen, advertise_url) = (listen?, advertise_url?);
        if listen.ip().is_unspecified() && advertise_url.is_none() {
            reader.conflict(
                "data_plane.listen",
                "means every address, so the api cannot tell which one to call; set `data_plane.advertise_url`",
            );
        }
        Some(Self { listen, advertise_url })
    }
}
