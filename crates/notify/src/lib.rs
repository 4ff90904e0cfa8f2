//! How people are told: one file a channel, each a pure function from a message to what goes over the wire, and one way
//! out ([`http`] behind the egress guard; [`email`] over the operator's SMTP server).
//!
//! Bodies are built by serialisers and escaped for their medium: no label may mention somebody, be markup, or become a
//! header. No error and no log line may carry a secret or a word of a receiver. A message's trouble is the caller's to
//! note; it never changes a run.

pub mod email;
mod error;
mod http;
mod text;

mod discord;
mod gotify;
mod ntfy;
mod ping;
mod pushover;
mod slack;
mod teams;
mod telegram;
mod webhook;

#[cfg(test)]
mod samples;

pub use error::{DeliveryCode, DeliveryError, Retry};
pub use http::Limits;
pub use text::human_size;

use chrono::{DateTime, Utc};
use email::Mailer;
use holdfast_domain::notification::{Message, Ping};
use holdfast_egress::{EgressGuard, HttpError};
use http::{Sender, address};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use text::Facts;
use url::Url;

/// One receiver, with its secrets open. It has no `Debug`, and lives as long as one delivery.
pub enum Target {
    /// A mail address.
    Email {
        /// One address.
        to: String,
    },
    /// A Discord webhook.
    Discord {
        /// Its address, which is its secret.
        url: SecretString,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Its address, which is its secret.
        url: SecretString,
    },
    /// A Teams Workflows webhook.
    Teams {
        /// Its address, which is its secret.
        url: SecretString,
    },
    /// Pushover.
    Pushover {
        /// The application's.
        token: SecretString,
        /// The user's or group's key.
        user: SecretString,
    },
    /// A Telegram chat.
    Telegram {
        /// The stream's own bot; none = the operator's.
        bot_token: Option<SecretString>,
        /// A number.
        chat_id: SecretString,
    },
    /// A topic of an ntfy server.
    Ntfy {
        /// None = the public one.
        server: Option<String>,
        /// Whoever knows it reads along.
        topic: SecretString,
        /// Access token.
        token: Option<SecretString>,
        /// Of alarms, 1 to 5.
        priority: Option<u8>,
    },
    /// An application of a Gotify server.
    Gotify {
        /// Its address.
        server: String,
        /// The application's.
        token: SecretString,
        /// Of alarms, 0 to 10.
        priority: Option<u8>,
    },
    /// A signed webhook.
    Webhook {
        /// Its address.
        url: SecretString,
        /// `whsec_…`: one, or two while it is changed.
        secrets: Vec<SecretString>,
    },
    /// A dead man's switch.
    Ping {
        /// Its address, which is its secret.
        url: SecretString,
        /// What it hears.
        ping: Ping,
    },
}

/// The public services; tests bring their own addresses.
#[derive(Clone)]
pub struct Services {
    /// `https://api.pushover.net/`
    pub pushover: Url,
    /// `https://api.telegram.org/`
    pub telegram: Url,
    /// `https://ntfy.sh/`
    pub ntfy: Url,
    /// The operator's Telegram bot.
    pub telegram_bot_token: Option<SecretString>,
}

/// What a notifier is made of.
pub struct NotifierParts {
    /// In front of every address.
    pub guard: EgressGuard,
    /// Where the public services are.
    pub services: Services,
    /// The way to send mail, where there is one.
    pub mailer: Option<Mailer>,
    /// How long receivers may take.
    pub limits: Limits,
    /// The present, for signatures.
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

/// Delivers messages. Cloning shares its connections.
#[derive(Clone)]
pub struct Notifier {
    sender: Sender,
    services: Services,
    mailer: Option<Mailer>,
    limits: Limits,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl Notifier {
    /// Connects to nothing.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(parts: NotifierParts) -> Result<Self, HttpError> {
        let NotifierParts { guard, services, mailer, limits, now } = parts;
        Ok(Self { sender: Sender::new(guard, limits, Arc::clone(&now))?, services, mailer, limits, now })
    }

    /// The way to send mail; none where the operator set no SMTP server.
    #[must_use]
    pub fn mailer(&self) -> Option<&Mailer> {
        self.mailer.as_ref()
    }

    /// How long a receiver may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// One try. `Ok` means that the receiver took the message.
    ///
    /// # Errors
    /// [`DeliveryError`], which says whether another try can help.
    pub async fn deliver(&self, target: &Target, message: &Message) -> Result<(), DeliveryError> {
        let facts = Facts::of(message);
        let at = message.occurred_at;
        let post = match target {
            Target::Email { to } => {
                let mailer = self.mailer.as_ref().ok_or(DeliveryError::last(DeliveryCode::MailOff))?;
                return email::deliver(mailer, (to, &message.id), &facts).await;
            }
            Target::Discord { url } => discord::post(url.expose_secret(), &facts, &at.to_rfc3339()),
            Target::Slack { url } => slack::post(url.expose_secret(), &facts, at.timestamp()),
            Target::Teams { url } => teams::post(url.expose_secret(), &facts),
            Target::Pushover { token, user } => {
                let keys = (token.expose_secret(), user.expose_secret());
                pushover::post(&self.services.pushover, keys, &facts, at.timestamp())
            }
            Target::Telegram { bot_token, chat_id } => {
                let bot = bot_token.as_ref().or(self.services.telegram_bot_token.as_ref());
                let bot = bot.ok_or(DeliveryError::last(DeliveryCode::NoBot))?;
                telegram::post(&self.services.telegram, bot.expose_secret(), chat_id.expose_secret(), &facts)
            }
            Target::Ntfy { server, topic, token, priority } => {
                let server = server.as_deref().map_or_else(|| Ok(self.services.ntfy.clone()), address)?;
                let keys = (topic.expose_secret(), token.as_ref().map(ExposeSecret::expose_secret));
                ntfy::post(&server, keys, *priority, &facts)
            }
            Target::Gotify { server, token, priority } => {
                gotify::post(&address(server)?, token.expose_secret(), *priority, &facts)
            }
            Target::Webhook { url, secrets } => {
                let secrets = secrets.iter().map(ExposeSecret::expose_secret);
                webhook::post(url.expose_secret(), secrets, message, (self.now)())
            }
            Target::Ping { url, ping } => ping::post(url.expose_secret(), *ping),
        };
        self.sender.send(post?).await
    }
}
