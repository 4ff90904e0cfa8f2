//! Connecting to a server, and writing down what the connection taught. Every connection of this product to a tenant's
//! server is made here: the rows of the way then always know whether they are reachable and which key waits to be
//! confirmed.

use crate::context::WorkerContext;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::reachability::is_server_reached;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{HostKeyExpectation, Peer, Route, Session, Timing};
use holdfast_store::repositories::server_contact::{Contact, ContactOutcome};
use holdfast_store::{Access, StoreError, rows};

/// The way to a server. It has no `Debug`: it holds secrets.
pub struct Way {
    /// For the connection.
    pub route: Route,
    /// The rows of its jump hosts, in order.
    pub jump_rows: Vec<rows::remote_servers::Model>,
}

/// Why there is no session.
pub struct Missed {
    /// For the user.
    pub failure: Failure,
    /// At which server of the way: as many as there are jump hosts is the server itself.
    pub at: usize,
}

/// Connects to `row` as `way` says, and records connectivity and host keys.
///
/// # Errors
/// Why there is no session.
pub async fn connect(
    context: &WorkerContext,
    access: &Access,
    row: &rows::remote_servers::Model,
    way: &Way,
) -> Result<Session, Failure> {
    connect_with(context, access, row, way, timing(context)).await
}

/// The operator's times for connections.
#[must_use]
pub fn timing(context: &WorkerContext) -> Timing {
    let ssh = &context.config.ssh;
    Timing { handshake: ssh.handshake_timeout, keepalive: ssh.keepalive_interval, ..Timing::default() }
}

/// [`connect`] with other times than the operator's.
///
/// # Errors
/// Why there is no session.
pub async fn connect_with(
    context: &WorkerContext,
    access: &Access,
    row: &rows::remote_servers::Model,
    way: &Way,
    timing: Timing,
) -> Result<Session, Failure> {
    try_with(context, access, row, way, timing).await.map_err(|missed| missed.failure)
}

/// [`connect_with`], for those who want to know where it failed.
///
/// # Errors
/// Why there is no session.
pub async fn try_with(
    context: &WorkerContext,
    access: &Access,
    row: &rows::remote_servers::Model,
    way: &Way,
    timing: Timing,
) -> Result<Session, Missed> {
    let unrecorded = |at| {
        move |error: StoreError| {
            tracing::error!("a server's contact could not be recorded: {error:?}");
            let detail = "What the connection taught could not be recorded.";
            Missed { failure: Failure::new(Step::Connect, FailureCode::Internal, detail), at }
        }
    };
    if row.connectivity == "unknown" {
        begin(context, access, row).await.map_err(unrecorded(way.jump_rows.len()))?;
    }
    let connected = Session::connect_with(&context.egress, &way.route, timing).await;
    let last = way.jump_rows.len();
    let (at, failure, keys) = match &connected {
        Ok(session) => (last, None, session.host_keys().iter().cloned().map(Some).collect()),
        Err(error) => (error.at(), Some(&error.failure), error.presented_host_keys.clone()),
    };
    let servers = way.jump_rows.iter().chain([row]).zip(way.route.jumps.iter().chain([&way.route.peer]));
    for (n, (row, peer)) in servers.enumerate() {
        let key = keys.get(n).and_then(Option::as_deref);
        let how = match failure {
            Some(failure) if n == at => Seen::Failed(failure),
            Some(_) if n > at => Seen::Never,
            _ => Seen::LetUsIn,
        };
        record(context, access, row, &Taught { peer, how, key }).await.map_err(unrecorded(n))?;
    }
    connected.map_err(|error| Missed { at, failure: error.failure })
}

/// How one server of a way fared.
enum Seen<'a> {
    LetUsIn,
    Failed(&'a Failure),
    /// A jump host before it failed. That is news of the jump host alone: nobody is told of each server behind it.
    Never,
}

/// What a connection taught of one server of its way.
struct Taught<'a> {
    peer: &'a Peer,
    how: Seen<'a>,
    key: Option<&'a str>,
}

impl Taught<'_> {
    fn outcome(&self) -> ContactOutcome {
        match &self.how {
            Seen::LetUsIn => ContactOutcome::Online,
            Seen::Failed(failure) if failure.code == FailureCode::HostKeyUnconfirmed => ContactOutcome::KeyUnconfirmed,
            Seen::Failed(_) | Seen::Never => ContactOutcome::Offline,
        }
    }

    /// None: not whether it answers.
    fn answered(&self) -> Option<Result<(), String>> {
        match &self.how {
            Seen::LetUsIn => Some(Ok(())),
            Seen::Failed(failure) => is_server_reached(failure.code)
                .map(|is_reached| if is_reached { Ok(()) } else { Err(failure.to_string()) }),
            Seen::Never => None,
        }
    }
}

/// Shows that a server of which nothing was known is being tried for the first time.
async fn begin(context: &WorkerContext, access: &Access, row: &rows::remote_servers::Model) -> Result<(), StoreError> {
    let tx = context.store.for_team(access).await?;
    tx.server_contact(RemoteServerId(row.id)).begin().await?;
    tx.commit().await
}

async fn record(
    context: &WorkerContext,
    access: &Access,
    row: &rows::remote_servers::Model,
    taught: &Taught<'_>,
) -> Result<(), StoreError> {
    let (id, peer) = (RemoteServerId(row.id), taught.peer);
    let contact = Contact {
        host: &peer.host,
        port: peer.port,
        jump_ids: &row.jump_ids,
        outcome: taught.outcome(),
        host_key: taught.key,
    };
    let tx = context.store.for_team(access).await?;
    let is_trusted = peer.host_key == HostKeyExpectation::Unknown { trust: true };
    if is_trusted && tx.server_contact(id).pin_trusted(&contact).await? {
        tracing::warn!(
            server = id.0,
            "the key of a first contact was pinned without a look (ssh.first_contact = trust)"
        );
    }
    tx.server_contact(id).record(&contact).await?;
    if let Some(answered) = taught.answered() {
        let answered = answered.as_ref().copied().map_err(String::as_str);
        tx.reachability().note_server(id, (contact.host, contact.port), answered).await?;
    }
    tx.commit().await
}
