//! `accounts`: people, their sessions and their tokens.

use crate::reader::Reader;
use std::path::PathBuf;
use std::time::Duration;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountsConfig {
    /// Whether anybody may make an account.
    pub registration: bool,
    /// Whether `POST /api/sanctum/token` gives tokens for a password.
    pub device_tokens: bool,
    /// A session that was not used for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long, however much it is used.
    pub session_lifetime: Duration,
    /// How long a token lives whose maker said nothing.
    pub token_days: u32,
    /// How long a token may live.
    pub token_max_days: u32,
    /// The log-in key's file, mode 0600 or 0400: two-factor secrets are encrypted with it.
    pub login_key_file: Option<PathBuf>,
}

impl AccountsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        let registration = reader.required("accounts.registration");
        let device_tokens = reader.required("accounts.device_tokens");
        let session_idle = reader.within("accounts.session_idle_secs", seconds(60, 2_592_000));
        let session_lifetime = reader.within("accounts.session_lifetime_secs", seconds(300, 31_536_000));
        let token_days = reader.within("accounts.token_days", 1..=3_660);
        let token_max_days = reader.within("accounts.token_max_days", 1..=3_660);
        let login_key_file = reader.optional("accounts.login_key_file");
        if let (Some(days), Some(most)) = (token_days, token_max_days)
            && days > most
        {
            reader.conflict("accounts.token_days", format!("is more than `accounts.token_max_days`, {most}"));
        }
        Some(Self {
            registration: registration?,
            device_tokens: device_tokens?,
            session_idle: session_idle?,
            session_lifetime: session_lifetime?,
            token_days: token_days?,
            token_max_days: token_max_days?,
            login_key_file: login_key_file?,
        })
    }
}
