//! Reaching each server of the way and logging in to it.

use super::client::{self, Client, Observer};
use super::link::Link;
use super::{Line, Stop};
use crate::session::Timing;
use crate::{Credential, Peer, Route, failure};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressGuard;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{ChannelOpenFailure, MethodKind};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often a server may ask again in a keyboard-interactive log-in.
const QUESTIONS_MAX: usize = 5;

/// What a connection may be made of: a TCP stream, or a channel of the session before it.
trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Carrier for T {}

/// Connects and logs in to one server after the other. `shown` gets what each of them presented: of the last one nothing
/// may have come.
pub(crate) async fn connect(
    guard: &EgressGuard,
    route: &Route,
    timing: Timing,
    shown: &mut Vec<Option<String>>,
) -> Result<Line, Failure> {
    let cut = CancellationToken::new();
    // Cuts the connection when a step below fails or is abandoned; a line that stands takes it over.
    let unless_established = cut.clone().drop_guard();
    let mut stops: Vec<Stop> = Vec::new();
    for peer in route.servers() {
        shown.push(None);
        let carrier = reach(guard, stops.last(), peer, timing).await?;
        let observer = Observer::default();
        let link = Link::new(carrier, cut.clone(), timing.keepalive * 3);
        let exchanged = exchange_keys(link, peer, timing, &observer).await;
        if let Some(last) = shown.last_mut() {
            *last = observer.with(|o| o.host_key.clone());
        }
        let mut handle = exchanged?;
        let too_slow = |_| failure::stalled(Step::Authenticate, "the server did not answer the log-in in time.");
        timeout(timing.handshake, log_in(&mut handle, peer, &observer)).await.map_err(too_slow)??;
        stops.push(Stop { handle, observer });
    }
    unless_established.disarm();
    let end =
        stops.pop().ok_or_else(|| Failure::new(Step::Connect, FailureCode::Internal, "the way has no server."))?;
    Ok(Line { jumps: stops, end, cut })
}

/// A byte stream to `peer`: from here, past the guard; or from the jump host before it. A jump host resolves the name by
/// itself and reaches what it can reach (docs/decisions/0010): nothing is connected from here then.
async fn reach(
    guard: &EgressGuard,
    from: Option<&Stop>,
    peer: &Peer,
    timing: Timing,
) -> Result<Box<dyn Carrier>, Failure> {
    let Some(jump) = from else {
        let stream = guard.connect(&peer.host, peer.port, timing.handshake).await;
        let stream = stream.map_err(|error| failure::egress(&error))?;
        let _ = stream.set_nodelay(true);
        return Ok(Box::new(stream));
    };
    let failed = |why: &str| {
        let detail = format!("the jump host has no connection to {} port {}: {why}.", peer.host, peer.port);
        Failure::new(Step::Connect, FailureCode::ConnectFailed, detail)
    };
    let opening = jump.handle.channel_open_direct_tcpip(&peer.host, u32::from(peer.port), "127.0.0.1", 0);
    match timeout(timing.handshake, opening).await {
        // What travels here is another SSH session: it has its own checksums, and an end that comes too early is a cut.
        Ok(Ok(channel)) => Ok(Box::new(channel.into_stream())),
        Ok(Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => Err(failed(
            "it does not allow forwarding (AllowTcpForwarding, PermitOpen, or `restrict` without `port-forwarding`)",
        )),
        Ok(Err(russh::Error::ChannelOpenFailure(_))) => Err(failed("it could not connect")),
        Ok(Err(_)) => Err(failure::lost(Step::Connect, &jump.observer)),
        Err(_) => Err(failed("it did not answer in time")),
    }
}

async fn exchange_keys(
    link: Link<Box<dyn Carrier>>,
    peer: &Peer,
    timing: Timing,
    observer: &Observer,
) -> Result<Handle<Client>, Failure> {
    let client = Client::new(peer.host_key.clone(), observer.clone());
    let config = Arc::new(client::config(&peer.host_key, timing));
    match timeout(timing.handshake, russh::client::connect_stream(config, link, client)).await {
        Ok(Ok(handle)) => Ok(handle),
        Ok(Err(russh::Error::UnknownKey)) => {
            Err(failure::unacceptable_key(peer, observer.with(|o| o.host_key.clone()).as_deref()))
        }
        Ok(Err(error)) => Err(failure::handshake(&error)),
        Err(_) => Err(Failure::new(
            Step::Connect,
            FailureCode::HandshakeFailed,
            "the server did not finish the handshake in time.",
        )),
    }
}

async fn log_in(handle: &mut Handle<Client>, peer: &Peer, observer: &Observer) -> Result<(), Failure> {
    let refused = |what: &str| failure::refused(peer, what);
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
