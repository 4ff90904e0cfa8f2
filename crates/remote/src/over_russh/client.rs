//! What we tell russh: algorithms, sizes and limits, and how to answer what a server may ask of a client.
//!
//! The host key is judged here, before a single authentication packet exists. Everything a server may open towards us is
//! refused.

use crate::host_key::line_of;
use crate::session::Timing;
use crate::{HostKeyExpectation, public_line};
use russh::client::{ChannelOpenHandle, Config, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, Error, Limits, Names, Preferred, cipher, compression};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Receive window, bytes. OpenSSH's 2 MiB caps a 100 ms link at 8–17 MiB/s; 16 MiB gave the best of what was measured.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// The largest packet russh announces, bytes.
const PACKET_BYTES: u32 = 65_535;

/// Messages russh holds for a channel; times the packet size, this is what a connection's memory follows.
const CHANNEL_MESSAGES: usize = 64;

/// Unanswered keepalives before the connection counts as dead: noticed after (this + 1) intervals.
const KEEPALIVES_UNANSWERED: usize = 2;

/// russh 0.65 can lose data when it starts a key exchange itself; the server's own limit (about 64 GiB with AES) remains.
const NO_REKEY_BYTES: usize = 1 << 50;
const NO_REKEY_TIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a connection has seen so far, shared with whoever waits for it.
#[derive(Default)]
pub(crate) struct Observed {
    /// The presented key, `type base64`.
    pub(crate) host_key: Option<String>,
    /// Why the connection ended.
    pub(crate) ending: Option<Ending>,
}

/// Why a connection ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// Nothing came, or nothing was taken, for too long.
    Stalled,
    /// Anything else; our own words or the error's.
    Lost(String),
}

/// [`Observed`] in two hands.
#[derive(Clone, Default)]
pub(crate) struct Observer(Arc<Mutex<Observed>>);

impl Observer {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Observed) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Our side of the protocol.
pub(crate) struct Client {
    expectation: HostKeyExpectation,
    observer: Observer,
}

impl Client {
    pub(crate) fn new(expectation: HostKeyExpectation, observer: Observer) -> Self {
        Self { expectation, observer }
    }
}

/// Algorithms and limits for a server of which `expectation` holds.
pub(crate) fn config(expectation: &HostKeyExpectation, timing: Timing) -> Config {
    Config {
        limits: Limits {
            rekey_write_limit: NO_REKEY_BYTES,
            rekey_read_limit: NO_REKEY_BYTES,
            rekey_time_limit: NO_REKEY_TIME,
        },
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred: Preferred {
            key: Cow::Owned(host_key_order(expectation)),
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305]),
            // Compressed packets would let a server make us inflate what it likes, before and after authentication.
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(timing.keepalive),
        keepalive_max: KEEPALIVES_UNANSWERED,
        ..Config::default()
    }
}

/// Host key algorithms without SHA-1. A server with several keys presents the first that we name, so the pinned one's
/// algorithm goes first: else a newly added key would look like a changed one.
fn host_key_order(expectation: &HostKeyExpectation) -> Vec<Algorithm> {
    let mut order: Vec<Algorithm> =
        Preferred::DEFAULT.key.iter().filter(|a| **a != Algorithm::Rsa { hash: None }).cloned().collect();
    let HostKeyExpectation::Pinned(line) = expectation else { return order };
    let Ok(pinned) = PublicKey::from_openssh(line) else { return order };
    let is_pinned = |a: &Algorithm| match pinned.algorithm() {
        Algorithm::Rsa { .. } => matches!(a, Algorithm::Rsa { hash: Some(HashAlg::Sha256 | HashAlg::Sha512) }),
        other => *a == other,
    };
    order.sort_by_key(|a| !is_pinned(a));
    order
}

impl Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = presented else { return Ok(false) };
        let Some(line) = line_of(key) else { return Ok(false) };
        let accepted = match &self.expectation {
            HostKeyExpectation::Pinned(pinned) => public_line(pinned).as_ref() == Some(&line),
            HostKeyExpectation::Unknown { trust } => *trust,
        };
        self.observer.with(|o| o.host_key = Some(line));
        Ok(accepted)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, _: &mut Session) -> Result<(), Error> {
        // CVE-2023-48795: without strict key exchange, chacha20-poly1305 lets somebody in between drop messages.
        if names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() {
            return Err(Error::Kex);
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Error>) -> Result<(), Error> {
        let ending = match reason {
            DisconnectReason::ReceivedDisconnect(info) => Ending::Lost(format!("the server said: {}", info.message)),
            DisconnectReason::Error(error) => ending_of(&error),
        };
        self.observer.with(|o| o.ending = Some(ending));
        Ok(())
    }

    // A dropped handle is a refusal; russh's own answers would accept these.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }
}

fn ending_of(error: &Error) -> Ending {
    match error {
        Error::KeepaliveTimeout | Error::InactivityTimeout | Error::ConnectionTimeout => Ending::Stalled,
        Error::IO(io) if io.kind() == std::io::ErrorKind::TimedOut => Ending::Stalled,
        Error::IO(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Ending::Lost("the connection was closed".into())
        }
        other => Ending::Lost(other.to_string()),
    }
}
