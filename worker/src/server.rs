//! Connecting to a server, and writing down what the connection taught. Every connection of this product to a tenant's
//! server is made here: the row then always knows whether it is reachable and which key waits to be confirmed.

use crate::context::WorkerContext;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::reachability::is_server_reached;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{ConnectError, HostKeyExpectation, Peer, Session, Timing};
use holdfast_store::repositories::server_contact::{Contact, ContactOutcome};
use holdfast_store::{Access, StoreError, rows};

/// Connects to `row` as `peer` says, and records connectivity and host key.
///
/// # Errors
/// Why there is no session.
pub async fn connect(
    context: &WorkerContext,
    access: &Access,
    row: &rows::remote_servers::Model,
    peer: &Peer,
) -> Result<Session, Failure> {
    connect_with(context, access, row, peer, timing(context)).await
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
    peer: &Peer,
    timing: Timing,
) -> Result<Session, Failure> {
    let connected = Session::connect_with(&context.egress, peer, timing).await;
    let (outcome, key) = match &connected {
        Ok(session) => (ContactOutcome::Online, Some(session.host_key())),
        Err(ConnectError { failure, presented_host_key }) => {
            let outcome = match failure.code {
                FailureCode::HostKeyUnconfirmed => ContactOutcome::KeyUnconfirmed,
                _ => ContactOutcome::Offline,
            };
            (outcome, presented_host_key.as_deref())
        }
    };
    let contact = Contact { host: &peer.host, port: peer.port, outcome, host_key: key };
    let answered = match &connected {
        Ok(_) => Some(Ok(())),
        Err(error) => is_server_reached(error.failure.code)
            .map(|is_reached| if is_reached { Ok(()) } else { Err(error.failure.to_string()) }),
    };
    let is_trusted = peer.host_key == HostKeyExpectation::Unknown { trust: true };
    let taught = Taught { contact: &contact, is_trusted, answered: &answered };
    record(context, access, RemoteServerId(row.id), taught).await.map_err(|error| {
        tracing::error!("a server's contact could not be recorded: {error:?}");
        Failure::new(Step::Connect, FailureCode::Internal, "What the connection taught could not be recorded.")
    })?;
    connected.map_err(|error| error.failure)
}

/// What a connection taught.
struct Taught<'a> {
    contact: &'a Contact<'a>,
    is_trusted: bool,
    /// None: not whether it answers.
    answered: &'a Option<Result<(), String>>,
}

async fn record(
    context: &WorkerContext,
    access: &Access,
    id: RemoteServerId,
    Taught { contact, is_trusted, answered }: Taught<'_>,
) -> Result<(), StoreError> {
    let tx = context.store.for_team(access).await?;
    if is_trusted && tx.server_contact(id).pin_trusted(contact).await? {
        tracing::warn!(
            server = id.0,
            "the key of a first contact was pinned without a look (ssh.first_contact = trust)"
        );
    }
    tx.server_contact(id).record(contact).await?;
    if let Some(answered) = answered {
        let answered = answered.as_ref().copied().map_err(String::as_str);
        tx.reachability().note_server(id, (contact.host, contact.port), answered).await?;
    }
    tx.commit().await
}
