//! What the parts of this crate say when something fails.

use crate::over_russh::{Ending, Observer};
use crate::{HostKeyExpectation, Peer, Route, fingerprint};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::EgressError;
use russh::Error;

/// No TCP connection.
pub(crate) fn egress(error: &EgressError) -> Failure {
    let code = match error {
        EgressError::Unresolvable { .. } => FailureCode::ServerUnknown,
        EgressError::Blocked { .. } => FailureCode::BlockedEgress,
        EgressError::Unreachable { .. } => FailureCode::ConnectFailed,
    };
    Failure::new(Step::Connect, code, format!("{error}."))
}

/// No key exchange.
pub(crate) fn handshake(error: &Error) -> Failure {
    let detail = match error {
        Error::NoCommonAlgo { kind, theirs, .. } => {
            format!("no common algorithm for {kind:?}; the server offers {}.", theirs.join(", "))
        }
        Error::Version => "the port does not speak SSH 2.".to_owned(),
        other => format!("{other}."),
    };
    Failure::new(Step::Connect, FailureCode::HandshakeFailed, detail)
}

/// The connection ended before it should have.
pub(crate) fn lost(step: Step, observer: &Observer) -> Failure {
    match observer.with(|o| o.ending.clone()) {
        Some(Ending::Stalled) => stalled(step, "nothing came from the server, not even an answer to a keepalive."),
        Some(Ending::Lost(how)) => Failure::new(
            step,
            FailureCode::ConnectionLost,
            format!("the connection ended before the program did: {how}."),
        ),
        None => Failure::new(
            step,
            FailureCode::ConnectionLost,
            "the server closed the program's channel without its exit status.",
        ),
    }
}

/// Nothing more comes, and whoever knew why is gone.
pub(crate) fn stopped(step: Step) -> Failure {
    Failure::new(step, FailureCode::ConnectionLost, "the connection ended before the program did.")
}

/// Nothing came for too long.
pub(crate) fn stalled(step: Step, detail: &str) -> Failure {
    Failure::new(step, FailureCode::Stalled, detail)
}

/// The key that `peer` presented is not the one that is expected; none: it presented no plain key.
pub(crate) fn unacceptable_key(peer: &Peer, presented: Option<&str>) -> Failure {
    let shown =
        |line: &str| fingerprint(line).map_or_else(|| "no key".to_owned(), |f| format!("{} {}", f.key_type, f.sha256));
    let presented = presented.map_or_else(|| "a certificate".to_owned(), shown);
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

/// `peer` refused to let us in with `what`.
pub(crate) fn refused(peer: &Peer, what: &str) -> Failure {
    let detail = format!("the server refused {what} of user {}.", peer.username);
    Failure::new(Step::Authenticate, FailureCode::AuthenticationFailed, detail)
}

/// Says at which jump host it failed, where it was one.
pub(crate) fn on_the_way(failure: Failure, route: &Route, at: usize) -> Failure {
    match route.jumps.get(at) {
        None => failure,
        Some(jump) => {
            let detail = format!("at the jump host {} port {}: {}", jump.host, jump.port, failure.detail);
            Failure::new(failure.step, failure.code, detail)
        }
    }
}
