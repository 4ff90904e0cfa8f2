//! One authenticated connection to one server.

use crate::connection::{Connection, Wire};
use crate::{Route, Running, Transport, failure, over_openssh, over_russh, program};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressGuard;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::timeout;

/// Why there is no session.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{failure}")]
pub struct ConnectError {
    /// For the user.
    pub failure: Failure,
    /// The keys that the servers of the way presented, in order: the last one is that of the server at which it failed,
    /// if that came so far. What becomes the pending keys.
    pub presented_host_keys: Vec<Option<String>>,
}

impl ConnectError {
    /// At which server of the way it failed: 0 is the first jump host; as many as there are jump hosts is the server.
    #[must_use]
    pub fn at(&self) -> usize {
        self.presented_host_keys.len().saturating_sub(1)
    }

    /// The key that the server at which it failed presented, if it came that far.
    #[must_use]
    pub fn presented_host_key(&self) -> Option<&str> {
        self.presented_host_keys.last()?.as_deref()
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The TCP connection, again for the key exchange, again for logging in, and again for starting a program.
    pub handshake: Duration,
    /// Between keepalives; the connection counts as dead three of these after the last sign of life.
    pub keepalive: Duration,
    /// A program that writes (or takes) nothing for so long has stalled.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(15),
            keepalive: Duration::from_secs(15),
            silence: Duration::from_secs(900),
        }
    }
}

/// One authenticated connection to one server. One program runs on it at a time: russh loses data when it exchanges keys
/// with several channels open.
pub struct Session {
    connection: Arc<Connection>,
    turn: Weak<()>,
}

impl Session {
    /// Connects, judges the host key, logs in; at each jump host of the way, then at the server.
    ///
    /// # Errors
    /// [`ConnectError`]: `server_unknown`, `blocked_egress`, `connect_failed`, `handshake_failed`, `host_key_unconfirmed`,
    /// `host_key_changed` (both before any authentication), `authentication_failed`, `connection_lost`.
    pub async fn connect(guard: &EgressGuard, route: impl Into<Route>) -> Result<Self, ConnectError> {
        Self::connect_with(guard, route, Timing::default()).await
    }

    /// [`Session::connect`] with other times than the usual.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn connect_with(
        guard: &EgressGuard,
        route: impl Into<Route>,
        timing: Timing,
    ) -> Result<Self, ConnectError> {
        let route = route.into();
        let mut shown = Vec::with_capacity(route.jumps.len() + 1);
        let connected = match &route.transport {
            Transport::Russh => {
                let line = over_russh::connect(guard, &route, timing, &mut shown).await;
                line.map(|line| Wire::Russh(Arc::new(line)))
            }
            Transport::Openssh { include } => {
                let line = over_openssh::connect(guard, &route, timing, include.clone(), &mut shown).await;
                line.map(|line| Wire::Openssh(Arc::new(line)))
            }
        };
        match connected {
            Ok(wire) => {
                let host_keys = shown.into_iter().flatten().collect();
                let connection = Connection { wire, guard: guard.clone(), route, timing, host_keys };
                Ok(Self { connection: Arc::new(connection), turn: Weak::new() })
            }
            Err(failure) => {
                let at = shown.len().saturating_sub(1);
                Err(ConnectError { failure: failure::on_the_way(failure, &route, at), presented_host_keys: shown })
            }
        }
    }

    /// The key the server presented, `type base64`.
    #[must_use]
    pub fn host_key(&self) -> &str {
        self.connection.host_keys.last().map(String::as_str).unwrap_or_default()
    }

    /// What each server of the way presented, in order; the last one is [`Session::host_key`].
    #[must_use]
    pub fn host_keys(&self) -> &[String] {
        &self.connection.host_keys
    }

    /// Starts `program` (POSIX shell text, after this crate's prelude) with `fields` for its `field` function to read.
    ///
    /// # Errors
    /// `connection_lost`, `stalled`, `source_failed` when the server refuses to run anything, `internal` when a program
    /// still runs on this session.
    pub async fn start(&mut self, program: &'static str, fields: &[&[u8]]) -> Result<Running, Failure> {
        if self.turn.strong_count() > 0 {
            return Err(Failure::new(Step::Start, FailureCode::Internal, "a program still runs on this connection."));
        }
        let opening = program::opening(program, fields);
        let too_slow = |_| failure::stalled(Step::Start, "the server did not start the program in time.");
        let starting = timeout(self.connection.timing.handshake, self.connection.exec());
        let started = starting.await.map_err(too_slow)??;
        let turn = Arc::new(());
        self.turn = Arc::downgrade(&turn);
        let mut running = Running::new(started, self.connection.clone(), turn);
        running.write(opening).await.map_err(|failure| Failure { step: Step::Start, ..failure })?;
        Ok(running)
    }

    /// Ends the connection.
    pub async fn end(self) {
        self.connection.end().await;
    }
}
