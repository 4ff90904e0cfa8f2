//! Logging in at each server of the way, and saying at which one it failed and why.

use super::agent::{self, Agent};
use super::config;
use super::folder::Folder;
use super::process::Process;
use super::{Line, Place};
use crate::session::Timing;
use crate::{Credential, HostKeyExpectation, Peer, Route, failure};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressGuard;
use russh::keys::PrivateKey;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use tokio::time::timeout;

/// Connects and logs in to one server after the other. `shown` gets what each of them presented, up to the one at which
/// it failed. `include` is the operator's own file.
pub(crate) async fn connect(
    guard: &EgressGuard,
    route: &Route,
    timing: Timing,
    include: Option<PathBuf>,
    shown: &mut Vec<Option<String>>,
) -> Result<Line, Failure> {
    shown.push(None);
    let mut keys = Vec::new();
    for peer in route.servers() {
        config::check(peer)?;
        keys.push(key_of(peer)?);
    }
    let first = route.servers().next().unwrap_or(&route.peer);
    let addresses = timeout(timing.handshake, guard.resolve(&first.host, first.port)).await;
    let too_slow =
        |_| Failure::new(Step::Connect, FailureCode::ServerUnknown, format!("{} has no address in time.", first.host));
    let addresses = addresses.map_err(too_slow)?.map_err(|error| failure::egress(&error))?;
    let Some(vetted) = addresses.first().map(std::net::SocketAddr::ip) else {
        return Err(Failure::new(Step::Connect, FailureCode::ServerUnknown, format!("{} has no address.", first.host)));
    };
    let folder = fill(route, &keys).map_err(|error| {
        let detail = format!("the private folder for `ssh` could not be made: {error}.");
        Failure::new(Step::Connect, FailureCode::Internal, detail)
    })?;
    let agent = Agent::start(&folder.path("agent"), &keys).await?;
    let place = Arc::new(Place { folder, _agent: agent, route: route.clone(), vetted, include, timing });
    shown.clear();
    let waiting = log_in(&place, 0, shown).await?;
    Ok(Line { waiting: Mutex::new(Some(waiting)), next: AtomicUsize::new(1), place })
}

/// Starts `ssh` and waits until it is logged in at the last server.
pub(super) async fn log_in(
    place: &Arc<Place>,
    number: usize,
    shown: &mut Vec<Option<String>>,
) -> Result<Process, Failure> {
    shown.push(None);
    let mut process = Process::start(place, number)?;
    shown.clear();
    let servers = place.route.jumps.len() + 1;
    // Connection, key exchange and log-in of each; `ssh` has limits of its own for the first two.
    let patience = place.timing.handshake * 3 * u32::try_from(servers).unwrap_or(u32::MAX);
    let is_in_time = timeout(patience, process.until_logged_in()).await.is_ok();
    for (at, peer) in place.route.servers().enumerate() {
        let key = process.shown_key(at);
        shown.push(key.clone());
        let is_in = process.said(at).is_authenticated;
        // What `ssh` compared is compared once more: nothing goes on to a server whose key is not the pinned one.
        if !is_in || key.as_deref().is_none_or(|key| !is_expected(peer, key)) {
            if is_in_time {
                let _ = timeout(place.timing.handshake, process.end()).await;
            }
            return Err(why(&process, at, peer, key.as_deref()));
        }
    }
    Ok(process)
}

fn is_expected(peer: &Peer, key: &str) -> bool {
    match &peer.host_key {
        HostKeyExpectation::Pinned(pinned) => pinned == key,
        HostKeyExpectation::Unknown { trust } => *trust,
    }
}

/// Why we are not logged in at the server at `at`, which presented `key`.
fn why(process: &Process, at: usize, peer: &Peer, key: Option<&str>) -> Failure {
    let said = process.said(at);
    let words = said.last_words.clone().unwrap_or_else(|| "`ssh` said nothing".to_owned());
    if let Some(key) = key {
        if !is_expected(peer, key) {
            return failure::unacceptable_key(peer, Some(key));
        }
        if said.is_refused {
            return failure::refused(peer, "the key");
        }
        return process.lost(Step::Authenticate);
    }
    let before = at.checked_sub(1).map(|before| process.said(before));
    if let Some(reason) = before.as_ref().and_then(|before| before.no_way_on.as_ref()) {
        let detail = format!("the jump host has no connection to {} port {}: {reason}.", peer.host, peer.port);
        return Failure::new(Step::Connect, FailureCode::ConnectFailed, detail);
    }
    if before.is_none() && !said.is_connected {
        return Failure::new(Step::Connect, FailureCode::ConnectFailed, format!("{words}."));
    }
    Failure::new(Step::Connect, FailureCode::HandshakeFailed, format!("{words}."))
}

fn key_of(peer: &Peer) -> Result<PrivateKey, Failure> {
    match &peer.credential {
        Credential::PrivateKey(pem) => agent::private_key(pem),
        Credential::Password(_) => Err(Failure::new(
            Step::Prepare,
            FailureCode::InvalidConfig,
            format!("the transport openssh logs in with keys only, and user {} has a password.", peer.username),
        )),
    }
}

/// The folder with everything but the configuration, which names the files of one `ssh`.
fn fill(route: &Route, keys: &[PrivateKey]) -> std::io::Result<Folder> {
    let folder = Folder::create()?;
    for (at, (peer, key)) in route.servers().zip(keys).enumerate() {
        folder.write(&config::known(at), &config::known_line(at, peer))?;
        // `ssh` offers the key whose public half lies here, and no other that the agent has.
        let public = key.public_key().to_openssh().map_err(std::io::Error::other)?;
        folder.write(&format!("key-{at}.pub"), &format!("{public}\n"))?;
    }
    Ok(folder)
}
