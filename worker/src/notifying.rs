//! The notifier as the operator's settings want it. Files with secrets are read once, here.

use chrono::{DateTime, Utc};
use holdfast_config::{Config, MailTls};
use holdfast_egress::EgressGuard;
use holdfast_notify::email::{MailSettings, MailTls as Protection, Mailer};
use holdfast_notify::{Limits, Notifier, NotifierParts, Services};
use secrecy::SecretString;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Makes a notifier; connects to nothing.
///
/// # Errors
/// A file that `mail` or `notify` names cannot be read, or `mail.from` is no address.
pub fn notifier(
    config: &Config,
    guard: EgressGuard,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
) -> io::Result<Notifier> {
    let bot = config.notify.telegram_bot_token_file.as_deref();
    let services = Services {
        pushover: config.notify.pushover_url.clone(),
        telegram: config.notify.telegram_url.clone(),
        ntfy: config.notify.ntfy_url.clone(),
        telegram_bot_token: bot.map(|path| secret("notify.telegram_bot_token_file", path)).transpose()?,
    };
    let parts = NotifierParts { guard, services, mailer: mailer(config)?, limits: Limits::default(), now };
    Notifier::new(parts).map_err(io::Error::other)
}

fn mailer(config: &Config) -> io::Result<Option<Mailer>> {
    let mail = &config.mail;
    let (Some(host), Some(from)) = (mail.host.clone(), mail.from.clone()) else { return Ok(None) };
    let login = match (&mail.username, &mail.password_file) {
        (Some(user), Some(path)) => Some((user.clone(), secret("mail.password_file", path)?)),
        _ => None,
    };
    let tls = match mail.tls {
        MailTls::None => Protection::None,
        MailTls::StartTls => Protection::StartTls,
        MailTls::Tls => Protection::Tls,
    };
    Mailer::new(&MailSettings { host, port: mail.port, tls, login, from }).map(Some).map_err(io::Error::other)
}

fn secret(key: &str, path: &Path) -> io::Result<SecretString> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        io::Error::new(error.kind(), format!("`{key}` ({}) cannot be read: {error}", path.display()))
    })?;
    Ok(SecretString::from(text.trim()))
}
