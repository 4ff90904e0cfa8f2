//! What the parts of this crate say when something fails.

use crate::client::{Ending, Observer};
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

/// Nothing came for too long.
pub(crate) fn stalled(step: Step, detail: &str) -> Failure {
    Failure::new(step, FailureCode::Stalled, detail)
}
