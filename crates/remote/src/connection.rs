//! What stays as long as anything uses a connection, whichever transport made it.

use crate::running::Started;
use crate::session::Timing;
use crate::{HostKeyExpectation, Peer, Route};
use crate::{over_openssh, over_russh};
use holdfast_domain::{Failure, Step};
use holdfast_egress::EgressGuard;
use std::sync::Arc;

/// The transport's part of a connection; dropping it cuts the connection.
pub(crate) enum Wire {
    /// See [`crate::Transport::Russh`].
    Russh(Arc<over_russh::Line>),
    /// See [`crate::Transport::Openssh`].
    Openssh(Arc<over_openssh::Line>),
}

/// One authenticated connection.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) guard: EgressGuard,
    pub(crate) route: Route,
    pub(crate) timing: Timing,
    /// What each server of the way presented.
    pub(crate) host_keys: Vec<String>,
}

impl Connection {
    /// Starts the one command that every program is given to.
    pub(crate) async fn exec(&self) -> Result<Started, Failure> {
        match &self.wire {
            Wire::Russh(line) => line.exec().await,
            Wire::Openssh(line) => line.exec().await,
        }
    }

    /// Why it ended before it should have.
    pub(crate) fn lost(&self, step: Step) -> Failure {
        match &self.wire {
            Wire::Russh(line) => line.lost(step),
            Wire::Openssh(line) => line.lost(step),
        }
    }

    /// Says good-bye, then cuts.
    pub(crate) async fn end(&self) {
        match &self.wire {
            Wire::Russh(line) => line.end().await,
            Wire::Openssh(line) => line.end(),
        }
    }

    /// The same way once more, to the very servers that this one reached.
    pub(crate) fn again(&self) -> Route {
        let pinned =
            |(peer, key): (&Peer, &String)| Peer { host_key: HostKeyExpectation::Pinned(key.clone()), ..peer.clone() };
        let mut servers: Vec<Peer> = self.route.servers().zip(&self.host_keys).map(pinned).collect();
        let peer = servers.pop().unwrap_or_else(|| self.route.peer.clone());
        Route { transport: self.route.transport.clone(), jumps: servers, peer }
    }
}
