//! One authenticated connection to one server.

use crate::client::{self, Client, Observer};
use crate::link::Link;
use crate::{Credential, HostKeyExpectation, Peer, Running, failure, fingerprint, program};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressGuard;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse, Msg};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{Channel, ChannelMsg, Disconnect, MethodKind};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often a server may ask again in a keyboard-interactive log-in.
const QUESTIONS_MAX: usize = 5;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(300);

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

/// What stays as long as anything uses the connection; dropping it cuts the connection.
pub(crate) struct Connection {
    pub(crate) handle: Handle<Client>,
    pub(crate) observer: Observer,
    pub(crate) guard: EgressGuard,
    pub(crate) peer: Peer,
    pub(crate) timing: Timing,
    pub(crate) host_key: String,
    cut: CancellationToken,
}

impl Connection {
    /// Says good-bye, then cuts.
    pub(crate) async fn end(&self) {
        let _ = timeout(FAREWELL, self.handle.disconnect(Disconnect::ByApplication, "", "")).await;
        self.cut.cancel();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A dropped handle alone does not end a session that waits for window or for its reader.
        self.cut.cancel();
    }
}

/// One authenticated connection to one server. One program runs on it at a time: russh loses data when it exchanges keys
/// with several channels open.
pub struct Session {
    connection: Arc<Connection>,
    turn: Weak<()>,
}

impl Session {
    /// Connects, judges the host key, logs in.
    ///
    /// # Errors
    /// [`ConnectError`]: `server_unknown`, `blocked_egress`, `connect_failed`, `handshake_failed`, `host_key_unconfirmed`,
    /// `host_key_changed` (both before any authentication), `authentication_failed`, `connection_lost`.
    pub async fn connect(guard: &EgressGuard, peer: &Peer) -> Result<Self, ConnectError> {
        Self::connect_with(guard, peer, Timing::default()).await
    }

    /// [`Session::connect`] with other times than the usual.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn connect_with(guard: &EgressGuard, peer: &Peer, timing: Timing) -> Result<Self, ConnectError> {
        let observer = Observer::default();
        let connected = Self::establish(guard, peer, timing, &observer).await;
        connected.map_err(|failure| ConnectError { failure, presented_host_key: observer.with(|o| o.host_key.clone()) })
    }

    async fn establish(guard: &EgressGuard, peer: &Peer, timing: Timing, observer: &Observer) -> Result<Self, Failure> {
        let stream =
            guard.connect(&peer.host, peer.port, timing.handshake).await.map_err(|error| failure::egress(&error))?;
        let cut = CancellationToken::new();
        // Cuts the connection when a step below fails or is abandoned; a session that stands takes it over.
        let unless_established = cut.clone().drop_guard();
        let mut handle = exchange_keys(stream, cut.clone(), peer, timing, observer).await?;
        let too_slow = |_| failure::stalled(Step::Authenticate, "the server did not answer the log-in in time.");
        timeout(timing.handshake, log_in(&mut handle, peer, observer)).await.map_err(too_slow)??;
        unless_established.disarm();
        let host_key = observer.with(|o| o.host_key.clone()).unwrap_or_default();
        let (guard, peer, observer) = (guard.clone(), peer.clone(), observer.clone());
        let connection = Arc::new(Connection { handle, observer, guard, peer, timing, host_key, cut });
        Ok(Self { connection, turn: Weak::new() })
    }

    /// The key the server presented, `type base64`.
    #[must_use]
    pub fn host_key(&self) -> &str {
        &self.connection.host_key
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
        let starting = timeout(self.connection.timing.handshake, self.exec());
        let channel = starting.await.map_err(too_slow)??;
        let turn = Arc::new(());
        self.turn = Arc::downgrade(&turn);
        let mut running = Running::new(channel, self.connection.clone(), turn);
        running.write(opening).await.map_err(|failure| Failure { step: Step::Start, ..failure })?;
        Ok(running)
    }

    /// Ends the connection.
    pub async fn end(self) {
        self.connection.end().await;
    }

    async fn exec(&self) -> Result<Channel<Msg>, Failure> {
        let refused =
            |what: &str| Failure::new(Step::Start, FailureCode::SourceFailed, format!("the server refused {what}."));
        let lost = || failure::lost(Step::Start, &self.connection.observer);
        let mut channel = match self.connection.handle.channel_open_session().await {
            Ok(channel) => channel,
            Err(russh::Error::ChannelOpenFailure(_)) => return Err(refused("to open a session")),
            Err(_) => return Err(lost()),
        };
        channel.exec(true, program::EXEC).await.map_err(|_| lost())?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(channel),
                Some(ChannelMsg::Failure) => return Err(refused("to run a program")),
                Some(_) => {}
                None => return Err(lost()),
            }
        }
    }
}

async fn exchange_keys(
    stream: TcpStream,
    cut: CancellationToken,
    peer: &Peer,
    timing: Timing,
    observer: &Observer,
) -> Result<Handle<Client>, Failure> {
    let _ = stream.set_nodelay(true);
    let link = Link::new(stream, cut, timing.keepalive * 3);
    let client = Client::new(peer.host_key.clone(), observer.clone());
    let config = Arc::new(client::config(&peer.host_key, timing));
    match timeout(timing.handshake, russh::client::connect_stream(config, link, client)).await {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(russh::Error::UnknownKey)) => Err(unacceptable_key(peer, observer)),
        Ok(Err(error)) => Err(failure::handshake(&error)),
        Err(_) => Err(Failure::new(
            Step::Connect,
            FailureCode::HandshakeFailed,
            "the server did not finish the handshake in time.",
        )),
    }
}

fn unacceptable_key(peer: &Peer, observer: &Observer) -> Failure {
    let shown =
        |line: &str| fingerprint(line).map_or_else(|| "no key".to_owned(), |f| format!("{} {}", f.key_type, f.sha256));
    let presented = observer.with(|o| o.host_key.as_deref().map_or_else(|| "a certificate".to_owned(), shown));
    match &peer.host_key {
        HostKeyExpectation::Pinned(pinned) => Failure::new(
            Step::HostKey,
            FailureCode::HostKeyChanged,
            format!("the server presents {presented}, and {} is pinned.", shown(pinned)),
        ),
        HostKeyExpectation::Unknown { .. } => Failure::new(
            Step::HostKey,
            FailureCode::HostKeyUnconfirmed,
            format!("the server presents {presented}, which nobody has confirmed."),
        ),
    }
}

async fn log_in(handle: &mut Handle<Client>, peer: &Peer, observer: &Observer) -> Result<(), Failure> {
    let refused = |what: &str| {
        let detail = format!("the server refused {what} of user {}.", peer.username);
        Failure::new(Step::Authenticate, FailureCode::AuthenticationFailed, detail)
    };
    let lost = |_| failure::lost(Step::Authenticate, observer);
    let (result, what) = match &peer.credential {
        Credential::PrivateKey(pem) => {
            let key = decode_secret_key(pem.expose_secret(), None).map_err(|_| {
                Failure::new(Step::Authenticate, FailureCode::SecretUnavailable, "the private key cannot be read.")
            })?;
            // None of the server's known algorithms: SHA-512 is what every server of the last ten years takes; never SHA-1.
            let hash = match key.algorithm().is_rsa() {
                true => handle.best_supported_rsa_hash().await.map_err(lost)?.flatten().or(Some(HashAlg::Sha512)),
                false => None,
            };
            let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
            (handle.authenticate_publickey(&peer.username, key).await.map_err(lost)?, "the key")
        }
        Credential::Password(password) => (with_password(handle, peer, password).await.map_err(lost)?, "the password"),
    };
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { partial_success: true, .. } => {
            Err(refused("to log in with one factor alone: it asks for a second one after that"))
        }
        // russh reports a connection that ended meanwhile as a failure without methods.
        AuthResult::Failure { .. } if handle.is_closed() => Err(lost(russh::Error::Disconnect)),
        AuthResult::Failure { .. } => Err(refused(what)),
    }
}

async fn with_password(
    handle: &mut Handle<Client>,
    peer: &Peer,
    password: &SecretString,
) -> Result<AuthResult, russh::Error> {
    let first = handle.authenticate_password(&peer.username, password.expose_secret()).await?;
    let AuthResult::Failure { remaining_methods, partial_success: false } = &first else { return Ok(first) };
    if !remaining_methods.contains(&MethodKind::KeyboardInteractive) {
        return Ok(first);
    }
    let mut answer = handle.authenticate_keyboard_interactive_start(&peer.username, None).await?;
    let mut told = false;
    for _ in 0..QUESTIONS_MAX {
        let prompts = match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(first),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        // One hidden question gets the password, once; a server that asks more wants something we do not have.
        if prompts.len() > 1 || prompts.iter().any(|p| p.echo) || (told && !prompts.is_empty()) {
            return Ok(first);
        }
        told |= !prompts.is_empty();
        let answers = prompts.iter().map(|_| password.expose_secret().to_owned()).collect();
        answer = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
    Ok(first)
}
