//! `ssh`: reaching the teams' servers.

use crate::reader::Reader;
use crate::setting::named_setting;
use std::time::Duration;

/// What to do with a server's key that nobody confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstContact {
    /// Keep it as pending and authenticate nothing until the team confirms it.
    Confirm,
    /// Pin it at the first connection, noted in the audit log.
    Trust,
}

named_setting!(FirstContact { "confirm" => FirstContact::Confirm, "trust" => FirstContact::Trust });

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct SshConfig {
    /// Unknown host keys.
    pub first_contact: FirstContact,
    /// For the TCP connection.
    pub connect_timeout: Duration,
    /// For the key exchange and the log-in.
    pub handshake_timeout: Duration,
    /// How often an idle peer is asked for a sign of life.
    pub keepalive_interval: Duration,
    /// After so many unanswered ones the connection is lost.
    pub keepalive_max: u32,
}

impl SshConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = |from: f64, to| Duration::from_secs_f64(from)..=Duration::from_secs_f64(to);
        let first_contact = reader.required("ssh.first_contact");
        let connect_timeout = reader.within("ssh.connect_timeout_secs", secs(0.5, 120.0));
        let handshake_timeout = reader.within("ssh.handshake_timeout_secs", secs(0.5, 120.0));
        let keepalive_interval = reader.within("ssh.keepalive_interval_secs", secs(0.5, 300.0));
        let keepalive_max = reader.within("ssh.keepalive_max", 1..=20);
        Some(Self {
            first_contact: first_contact?,
            connect_timeout: connect_timeout?,
            handshake_timeout: handshake_timeout?,
            keepalive_interval: keepalive_interval?,
            keepalive_max: keepalive_max?,
        })
    }
}
