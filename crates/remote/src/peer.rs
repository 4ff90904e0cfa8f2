//! Who is reached, as whom, and which host key is expected.

use secrecy::SecretString;

/// One server as seen from here. It has no `Debug`: it holds a secret.
#[derive(Clone)]
pub struct Peer {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The user to log in as.
    pub username: String,
    /// What proves that we may.
    pub credential: Credential,
    /// What proves that it is the right server.
    pub host_key: HostKeyExpectation,
}

/// What proves that we may log in.
#[derive(Clone)]
pub enum Credential {
    /// An unencrypted private key in OpenSSH's PEM form.
    PrivateKey(SecretString),
    /// A password, offered as `password` and, where only that is asked for, as the answer to `keyboard-interactive`.
    Password(SecretString),
}

/// Which host key is acceptable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyExpectation {
    /// Exactly this one: `ssh-ed25519 AAAA…`.
    Pinned(String),
    /// None is known yet.
    Unknown {
        /// Accept what is presented (the caller then pins [`crate::Session::host_key`]); otherwise the connection ends
        /// before authentication with the presented key in the error.
        trust: bool,
    },
}
