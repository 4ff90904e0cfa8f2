//! `ssh`: reaching the teams' servers.

use crate::reader::Reader;
use crate::setting::named_setting;
use std::path::PathBuf;
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
    /// For each of: the TCP connection, the key exchange, the log-in, the start of a program.
    pub handshake_timeout: Duration,
    /// How often a silent server is asked for a sign of life; after three without one the connection is lost.
    pub keepalive_interval: Duration,
    /// The operator's own configuration for the transport openssh.
    pub openssh_config_file: Option<PathBuf>,
}

impl SshConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let secs = |from: f64, to| Duration::from_secs_f64(from)..=Duration::from_secs_f64(to);
        let first_contact = reader.required("ssh.first_contact");
        let handshake_timeout = reader.within("ssh.handshake_timeout_secs", secs(0.5, 120.0));
        let keepalive_interval = reader.within("ssh.keepalive_interval_secs", secs(0.5, 300.0));
        let openssh_config_file = reader.optional::<PathBuf>("ssh.openssh_config_file");
        // `ssh` would look for a relative one in somebody's home, and a quote would end its name.
        let is_odd =
            |file: &PathBuf| !file.is_absolute() || file.to_str().is_none_or(|text| text.contains(['"', '\n']));
        if openssh_config_file.iter().flatten().any(is_odd) {
            reader.conflict("ssh.openssh_config_file", "must be an absolute path without quotes");
        }
        Some(Self {
            first_contact: first_contact?,
            handshake_timeout: handshake_timeout?,
            keepalive_interval: keepalive_interval?,
            openssh_config_file: openssh_config_file?,
        })
    }
}
