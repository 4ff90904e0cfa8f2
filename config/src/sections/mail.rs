//! `mail`: the SMTP server over which mail is sent. Without a host no mail is sent.

use crate::reader::Reader;
use crate::setting::named_setting;
use std::path::PathBuf;

/// How the connection to the SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    None,
    /// By STARTTLS, without which nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
}

named_setting!(MailTls { "none" => MailTls::None, "starttls" => MailTls::StartTls, "tls" => MailTls::Tls });

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct MailConfig {
    /// The SMTP server; none = no mail.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// Protection of the connection.
    pub tls: MailTls,
    /// User, where the server wants one.
    pub username: Option<String>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// Who mails come from; there whenever `host` is.
    pub from: Option<String>,
}

impl MailConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let host = reader.optional::<String>("mail.host");
        let port = reader.within("mail.port", 1..=65_535_u32);
        let tls = reader.required("mail.tls");
        let username = reader.optional::<String>("mail.username");
        let password_file = reader.optional::<PathBuf>("mail.password_file");
        let from = reader.optional::<String>("mail.from");
        let (host, username, password_file, from) = (host?, username?, password_file?, from?);
        if host.is_some() && from.is_none() {
            reader.conflict("mail.from", "must be set where `mail.host` is, as \"Holdfast <backup@example.com>\"");
        }
        if username.is_some() != password_file.is_some() {
            reader.conflict("mail.username", "and `mail.password_file` are set together or not at all");
        }
        let port = u16::try_from(port?).ok()?;
        Some(Self { host, port, tls: tls?, username, password_file, from })
    }
}
