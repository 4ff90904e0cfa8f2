//! Mail over the installation's own SMTP server, which its operator chose: the one receiver that is not behind the
//! guard. Recipient and subject can never become a header of their own: addresses are parsed, and a subject is one
//! encoded line. The mail is plain text. No error repeats a server's words.

use crate::error::{DeliveryCode, DeliveryError};
use crate::text::{Facts, Measure};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// For one mail, from the look-up to the server's last word.
const TOTAL_LIMIT: Duration = Duration::from_secs(30);
/// For one step of it.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// Longest subject.
const SUBJECT_CHARS: usize = 200;
/// Longest text of a notification.
const BODY_CHARS: usize = 50_000;

/// How the connection to the SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all.
    None,
    /// By STARTTLS; without it nothing is sent.
    StartTls,
    /// From the first byte.
    Tls,
}

/// The operator's SMTP server.
pub struct MailSettings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Protection.
    pub tls: MailTls,
    /// User and password, where it wants them.
    pub login: Option<(String, SecretString)>,
    /// Who mails come from: `Holdfast <backup@example.com>`.
    pub from: String,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailSetupError {
    /// `mail.from` is no address.
    #[error("`mail.from` must be an address, as \"Holdfast <backup@example.com>\"")]
    From,
    /// TLS cannot be set up for this host.
    #[error("TLS cannot be set up for `mail.host`: {0}")]
    Tls(String),
}

/// Sends mail.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// One mail.
pub struct Letter<'a> {
    /// One address.
    pub to: &'a str,
    /// One line.
    pub subject: &'a str,
    /// Plain text.
    pub text: &'a str,
    /// The same for every try, so that a mail server can drop a repetition; none = a new one.
    pub id: Option<&'a str>,
}

impl Mailer {
    /// Does not connect.
    ///
    /// # Errors
    /// [`MailSetupError`].
    pub fn new(settings: &MailSettings) -> Result<Self, MailSetupError> {
        let from: Mailbox = settings.from.parse().map_err(|_| MailSetupError::From)?;
        let parameters =
            || TlsParameters::new(settings.host.clone()).map_err(|error| MailSetupError::Tls(error.to_string()));
        let tls = match settings.tls {
            MailTls::None => Tls::None,
            MailTls::StartTls => Tls::Required(parameters()?),
            MailTls::Tls => Tls::Wrapper(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(STEP_LIMIT))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((user, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends a mail about an account.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), DeliveryError> {
        self.post(&Letter { to, subject, text, id: None }).await
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub async fn post(&self, letter: &Letter<'_>) -> Result<(), DeliveryError> {
        let mail = self.mail(letter)?;
        match tokio::time::timeout(TOTAL_LIMIT, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                // For the operator alone: the server is theirs.
                tracing::warn!(kind = kind(&error), "the SMTP server took no mail");
                Err(sorted(&error))
            }
            Err(_) => Err(DeliveryError::passing(DeliveryCode::Unreachable, None)),
        }
    }

    fn mail(&self, letter: &Letter<'_>) -> Result<Mail, DeliveryError> {
        let unusable = || DeliveryError::last(DeliveryCode::InvalidTarget);
        let to: Address = letter.to.parse().map_err(|_| unusable())?;
        let id = letter.id.map(|id| format!("<{}@{}>", plain_id(id), self.from.email.domain()));
        Mail::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(holdfast_domain::failure::printable(letter.subject, SUBJECT_CHARS))
            .message_id(id)
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.to_owned())
            .map_err(|_| unusable())
    }
}

/// A stream's message to its address.
pub(crate) async fn deliver(mailer: &Mailer, (to, id): (&str, &str), facts: &Facts) -> Result<(), DeliveryError> {
    let text = format!("{}\n\n{}\n", facts.title, facts.plain(Measure::Chars, BODY_CHARS));
    mailer.post(&Letter { to, subject: &facts.title, text: &text, id: Some(id) }).await
}

/// What may stand before the `@` of a message id.
fn plain_id(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).take(100).collect()
}

/// Tells out-of-office programs not to answer (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// 5xx to a recipient or a text is for good; 535 and the like are the operator's to mend, so it is tried again.
fn sorted(error: &SmtpError) -> DeliveryError {
    match error.status().map(u16::from) {
        Some(code @ 500..=599) if !matches!(code, 530 | 534 | 535 | 538) => DeliveryError::last(DeliveryCode::Refused),
        Some(_) => DeliveryError::passing(DeliveryCode::ReceiverFailing, None),
        None => DeliveryError::passing(DeliveryCode::Unreachable, None),
    }
}

/// Without the server's words, which may repeat what it was sent.
fn kind(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("answered {code}"),
        None if error.is_tls() => "TLS".to_owned(),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_response() => "no SMTP".to_owned(),
        None => "no connection".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{HOSTILE, hostile, whole};

    fn mailer() -> Mailer {
        let settings = MailSettings {
            host: "127.0.0.1".to_owned(),
            port: 25,
            tls: MailTls::None,
            login: None,
            from: "Holdfast <backup@example.com>".to_owned(),
        };
        Mailer::new(&settings).expect("a mailer")
    }

    #[test]
    fn a_subject_and_an_address_are_never_a_header() {
        let facts = Facts::of(&hostile());
        let letter = Letter { to: "a@example.org", subject: HOSTILE, text: &facts.title, id: Some("x\r\nBcc: v@x") };
        let wire = String::from_utf8(mailer().mail(&letter).expect("a mail").formatted()).expect("text");
        let (head, _) = wire.split_once("\r\n\r\n").expect("a head");
        let names: Vec<_> = head.split("\r\n").filter(|l| !l.starts_with(' ')).map(|l| l.split(':').next()).collect();
        let mut known = names.clone();
        known.retain(|name| {
            let known = ["From", "To", "Subject", "Message-ID", "Auto-Submitted", "Content-Type", "Date"];
            name.is_some_and(|name| known.contains(&name) || name == "Content-Transfer-Encoding")
        });
        assert_eq!(names, known, "{head}");
        for bad in ["a@example.org\r\nBcc: v@x", "a@example.org, b@example.org", "", "a", "<a@b>\n"] {
            let letter = Letter { to: bad, subject: "s", text: "t", id: None };
            assert!(mailer().mail(&letter).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_has_title_facts_and_link() {
        let facts = Facts::of(&whole());
        let text = facts.plain(Measure::Chars, BODY_CHARS);
        assert_eq!(
            text,
            "Team: Ann's team\nTask: Nightly site\nServer: web-1\nDestinations: Garage: stored, Attic: failed\n\
             State: failed\nReason: The destination is full.\nSize: 1.5 GiB\nDuration: 3 min 4 s\n\
             Next run: 2026-11-30 02:00 (Europe/Berlin)\nhttps://b.example/runs/7"
        );
    }
}
