//! Why a message did not arrive. Codes and sentences are ours alone: nothing of a receiver's answer may stand in one, or
//! a stream would be a way to read what only this machine can reach.

use std::time::Duration;

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It can; not before this time, where the receiver named one.
    Retry {
        /// What the receiver asked for, at most a day.
        after: Option<Duration>,
    },
    /// It cannot, as long as the stream or the settings stay as they are.
    Final,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $sentence:literal;)+) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DeliveryCode {
            $($(#[$doc])* $name),+
        }

        impl DeliveryCode {
            /// All of them.
            pub const ALL: &'static [DeliveryCode] = &[$(DeliveryCode::$name),+];

            /// The form on the wire and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// One sentence for people.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }
        }
    };
}

codes! {
    /// The guard said no.
    BlockedEgress = "blocked_egress",
        "The receiver's address may not be reached from this installation.";
    /// No connection, no TLS, no HTTP, no answer in time: one code for all, so that nobody can scan with it.
    Unreachable = "unreachable",
        "The receiver could not be reached: no connection, no valid certificate, or no answer in time.";
    /// It answered with a redirect.
    RedirectRefused = "redirect_refused",
        "The receiver answered with a redirect, and redirects are not followed. Enter the final address.";
    /// It asked for fewer messages.
    RateLimited = "rate_limited",
        "The receiver takes no more messages for the moment.";
    /// Its fault, by its own word.
    ReceiverFailing = "receiver_failing",
        "The receiver reported a fault of its own.";
    /// Our message's or the stream's fault, by its word.
    Refused = "refused",
        "The receiver refused the message: its address, token or key is wrong or was withdrawn.";
    /// What the stream says is no usable address, token or key.
    InvalidTarget = "invalid_target",
        "The stream's address, token or key cannot be used. Enter it again.";
    /// An e-mail stream where no SMTP server is set up.
    MailOff = "mail_off",
        "This installation sends no mail: its operator has set no SMTP server (`mail.host`).";
    /// Telegram, and neither the stream nor the operator has a bot.
    NoBot = "no_bot",
        "There is no Telegram bot: enter a bot token in the stream, or ask the operator for one.";
    /// An e-mail address that its owner has not confirmed.
    Unconfirmed = "unconfirmed",
        "The owner of the address has not agreed yet: a link is in the mail that was sent there.";
}

/// A message that did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .code.sentence())]
pub struct DeliveryError {
    /// What went wrong.
    pub code: DeliveryCode,
    /// Whether trying again can help.
    pub retry: Retry,
}

impl DeliveryError {
    /// Trying again cannot help.
    #[must_use]
    pub const fn last(code: DeliveryCode) -> Self {
        Self { code, retry: Retry::Final }
    }

    /// Trying again can help; not before `after`, where there is one.
    #[must_use]
    pub const fn passing(code: DeliveryCode, after: Option<Duration>) -> Self {
        Self { code, retry: Retry::Retry { after } }
    }
}
