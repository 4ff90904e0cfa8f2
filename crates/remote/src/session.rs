//! One authenticated connection to one server.

use crate::{Peer, Running};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressGuard;
use std::time::Duration;

/// Why there is no session.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{failure}")]
pub struct ConnectError {
    /// For the user.
    pub failure: Failure,
    /// The key the server presented, if it came that far: what becomes the pending key.
    pub presented_host_key: Option<String>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// TCP connection and key exchange, and again for logging in.
    pub handshake: Duration,
    /// Between keepalives; three unanswered end the connection.
    pub keepalive: Duration,
    /// A program that wrote nothing for so long has stalled.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { handshake: Duration::from_secs(15), keepalive: Duration::from_secs(15), silence: Duration::from_secs(900) }
    }
}

/// One authenticated connection to one server.
pub struct Session {
    host_key: String,
}

impl Session {
    /// Connects, judges the host key, logs in.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(guard: &EgressGuard, peer: &Peer) -> Result<Self, ConnectError> {
        Self::connect_with(guard, peer, Timing::default()).await
    }

    /// [`Session::connect`] with other times than the usual.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect_with(_guard: &EgressGuard, _peer: &Peer, _timing: Timing) -> Result<Self, ConnectError> {
        let failure = Failure::new(Step::Connect, FailureCode::Internal, "being written");
        Err(ConnectError { failure, presented_host_key: None })
    }

    /// The key the server presented, `type base64`.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// Starts `program` with `fields` as its variables.
    ///
    /// # Errors
    /// `connection_lost`, `stalled`, `source_failed`.
    pub async fn start(&mut self, _program: &'static str, _fields: &[&[u8]]) -> Result<Running, Failure> {
        Err(Failure::new(Step::Start, FailureCode::Internal, "being written"))
    }
}
