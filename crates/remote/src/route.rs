//! The way to a server: which program speaks SSH, through which other servers, and who is at the end.

use crate::Peer;
use std::path::PathBuf;

/// Who speaks SSH for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// The library in this process.
    #[default]
    Russh,
    /// The worker's own `ssh`, told everything by a file of ours.
    Openssh {
        /// The operator's own configuration, which may add to ours but changes nothing of it.
        include: Option<PathBuf>,
    },
}

/// The way to a server. It has no `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Route {
    /// Who speaks SSH.
    pub transport: Transport,
    /// The jump hosts, in order. The first one is reached from here, each other one from the one before it.
    pub jumps: Vec<Peer>,
    /// The server.
    pub peer: Peer,
}

impl Route {
    /// Every server of the way, in order; the last one is the one that is wanted.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &Peer> {
        self.jumps.iter().chain([&self.peer])
    }
}

impl From<Peer> for Route {
    fn from(peer: Peer) -> Self {
        Self { transport: Transport::default(), jumps: Vec::new(), peer }
    }
}

impl From<&Peer> for Route {
    fn from(peer: &Peer) -> Self {
        peer.clone().into()
    }
}

impl From<&Route> for Route {
    fn from(route: &Route) -> Self {
        route.clone()
    }
}
