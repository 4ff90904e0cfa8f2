//! SSH: connect, pin host keys, run constant programs.
//!
//! What goes into an `exec` request is one compile-time constant; everything variable travels on standard input. A stream
//! has ended well only if its program's own exit status arrived. Nothing here may use `into_stream()` for payload, open a
//! second data channel on a connection, or authenticate before the host key was judged: each was seen to lose data or
//! secrets.

mod connection;
mod failure;
mod greeting;
mod host_key;
mod over_openssh;
mod over_russh;
mod peer;
mod program;
mod route;
mod running;
mod session;
mod termination;

pub use host_key::{HostKeyFingerprint, fingerprint, public_line};
pub use peer::{Credential, HostKeyExpectation, Peer};
pub use program::opening;
pub use route::{Route, Transport};
pub use running::{Event, Running};
pub use session::{ConnectError, Session, Timing};
pub use termination::{RemoteProcess, Termination};
