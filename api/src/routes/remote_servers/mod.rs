//! Hosts reached by SSH.

pub mod accept_host_key;
pub mod check;
pub mod create;
pub mod databases;
pub mod delete;
pub mod host_key;
mod jump_hosts;
pub mod list;
pub mod show;
pub mod update;

use crate::audit::{self, SealedFields};
use crate::problem::{FieldErrors, Problem};
use crate::routes::at_once::AtOnceBody;
use crate::validation::{Fields, Mode, Presence, rules, texts};
use holdfast_store::{Changes, StoreError, rows};
use secrecy::ExposeSecret;
use utoipa::ToSchema;
use validator::Validate;

const AUTH_METHODS: [&str; 3] = ["team_key", "password", "private_key"];

const TRANSPORTS: [&str; 2] = ["russh", "openssh"];

/// What is sealed in a row.
const SECRETS: &SealedFields<rows::remote_servers::Model> = &[
    ("password", |row| row.sealed_password.as_deref()),
    ("private_key", |row| row.sealed_private_key.as_deref()),
    ("database_password", |row| row.sealed_database_password.as_deref()),
];

/// Tells the audit log of a server's secrets.
fn secrets(
    changes: Changes,
    before: Option<&rows::remote_servers::Model>,
    after: Option<&rows::remote_servers::Model>,
) -> Changes {
    audit::secrets(changes, before, after, SECRETS)
}

/// A server as a client writes it. `ip_address` may be a host name.
#[derive(Default, Validate, ToSchema)]
#[schema(as = RemoteServerBody)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    label: Option<String>,
    /// IPv4, IPv6 or a host name.
    ip_address: Option<String>,
    username: Option<String>,
    #[validate(range(min = 1, max = 65535))]
    port: Option<i64>,
    /// Write-only.
    #[validate(length(max = 255))]
    database_password: Option<String>,
    /// `team_key` (default), `password`, `private_key`.
    auth_method: Option<String>,
    /// Write-only; with `auth_method: password`.
    #[validate(length(max = 1024))]
    password: Option<String>,
    /// Write-only; OpenSSH, PKCS#8 or PKCS#1 PEM without a passphrase; with `auth_method: private_key`.
    private_key: Option<String>,
    /// `ssh-ed25519 AAAA…`: pins the server's key, so that nobody has to confirm it later.
    host_key: Option<String>,
    /// The servers through which it is reached, in order, at most three: the first one is reached from here, each other one
    /// from the one before it, and what a jump host is itself reached through does not count.
    jump: Option<Vec<i64>>,
    /// `russh` (default) or `openssh`: the worker's own `ssh`, with the operator's configuration, and with keys only.
    transport: Option<String>,
    limits: Option<AtOnceBody>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            label: fields.string("label", Presence::Required),
            ip_address: fields.parsed("ip_address", Presence::Required, rules::host),
            username: fields.parsed("username", Presence::Required, rules::login),
            port: fields.integer("port", Presence::Required),
            database_password: fields.secret("database_password", Presence::Optional, false),
            auth_method: fields.one_of("auth_method", Presence::Optional, &AUTH_METHODS),
            password: fields.secret("password", Presence::Optional, false),
            private_key: fields.secret("private_key", Presence::Optional, true),
            host_key: fields.parsed("host_key", Presence::Optional, rules::host_key),
            jump: jump_hosts::read(fields),
            transport: fields.one_of("transport", Presence::Optional, &TRANSPORTS),
            limits: AtOnceBody::read(fields),
        };
        fields.check(&body);
        body.normalised(fields)
    }

    /// A private key in its one form; a method's own secret is there when the method is chosen.
    fn normalised(mut self, fields: &mut Fields) -> Self {
        if let Some(text) = self.private_key.take() {
            match holdfast_vault::private_key::import(&text) {
                Ok(key) => self.private_key = Some(key.pem.expose_secret().to_owned()),
                Err(problem) => fields.fail("private_key", sentence(&problem.to_string())),
            }
        }
        if fields.mode() == Mode::Create {
            for (method, secret, is_there) in [
                ("password", "password", self.password.is_some()),
                ("private_key", "private_key", self.private_key.is_some()),
            ] {
                if self.auth_method.as_deref() == Some(method) && !is_there && !fields.failed(secret) {
                    fields.fail(secret, texts::required_when(secret, "auth_method", method));
                }
            }
        }
        self
    }

    fn port(&self) -> Option<u16> {
        self.port.and_then(|port| u16::try_from(port).ok())
    }
}

/// `text` with a capital first letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// The team has this host, port and user already.
fn taken(error: StoreError) -> Problem {
    match error {
        StoreError::Duplicate(_) => {
            Problem::validation(FieldErrors::one("ip_address", "The ip address has already been taken."))
        }
        other => other.into(),
    }
}
