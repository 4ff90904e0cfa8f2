//! What people are told, of what, and over which channels. A message carries names, figures and one sanitised reason;
//! it must never carry a secret or a piece of a program's raw output.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $enum:ident { $($(#[$variant_doc:meta])* $name:ident = $text:literal, $human:literal);+ $(;)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $enum {
            $($(#[$variant_doc])* #[serde(rename = $text)] $name),+
        }

        impl $enum {
            /// All, in the order of this list.
            pub const ALL: &'static [$enum] = &[$($enum::$name),+];

            /// The form on the wire and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($enum::$name => $text),+ }
            }

            /// The form for people.
            #[must_use]
            pub fn human(self) -> &'static str {
                match self { $($enum::$name => $human),+ }
            }

            /// Reads the form on the wire.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($enum::$name),)+ _ => None }
            }
        }
    };
}

words! {
    /// The protocol of a notification stream. The first six are page 003's peer's, by its names.
    StreamKind {
        /// Mail over the installation's SMTP server.
        Email = "email", "Email";
        /// A Discord webhook.
        Discord = "discord_webhook", "Discord Webhook";
        /// A Slack incoming webhook.
        Slack = "slack_webhook", "Slack Webhook";
        /// A Microsoft Teams Workflows webhook.
        Teams = "teams_webhook", "Teams Webhook";
        /// Pushover.
        Pushover = "pushover", "Pushover";
        /// A Telegram bot.
        Telegram = "telegram", "Telegram";
        /// ntfy, the public server or one's own.
        Ntfy = "ntfy", "ntfy";
        /// A Gotify server.
        Gotify = "gotify", "Gotify";
        /// Any HTTPS address, signed by the Standard Webhooks specification.
        Webhook = "webhook", "Webhook";
    }
}

words! {
    /// Something worth telling.
    EventKind {
        /// A run began.
        Started = "started", "started";
        /// A run succeeded.
        Success = "success", "succeeded";
        /// A run succeeded with warnings.
        Warning = "warning", "succeeded with warnings";
        /// Some of a run's destinations failed.
        Partial = "partial", "reached only some destinations";
        /// A run failed.
        Failure = "failure", "failed";
        /// The third or seventh failure in a row.
        StillFailing = "still_failing", "is still failing";
        /// The first success after a failure.
        Recovered = "recovered", "works again";
        /// A scheduled run did not take place.
        Missed = "missed", "was missed";
        /// No success came by the time it was expected. Told whatever a stream chose, and through quiet mode.
        Overdue = "overdue", "is overdue";
        /// Retention would have deleted what must stay, or could not delete.
        PruneRefused = "prune_refused", "kept backups that its rule would have deleted";
        /// A backup is much smaller than those before it.
        SuspiciouslySmall = "suspiciously_small", "made a suspiciously small backup";
        /// A server shows another host key than the pinned one.
        HostKeyChanged = "host_key_changed", "shows another host key";
        /// A server stopped answering.
        ServerOffline = "server_offline", "is offline";
        /// A server answers again.
        ServerOnline = "server_online", "is online again";
        /// A destination stopped answering.
        DestinationUnreachable = "destination_unreachable", "cannot be reached";
        /// A destination answers again.
        DestinationBack = "destination_back", "can be reached again";
    }
}

words! {
    /// What a dead man's switch hears of a run.
    Ping {
        /// It began.
        Start = "start", "start";
        /// It succeeded, with warnings or without.
        Success = "success", "success";
        /// It failed, or reached only some destinations.
        Fail = "fail", "fail";
    }
}

impl EventKind {
    /// Whether it is bad news: red, and of higher priority where the channel knows one.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        !matches!(self, Self::Started | Self::Success | Self::Recovered | Self::ServerOnline | Self::DestinationBack)
    }
}

/// What is no secret of a notification stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamConfig {
    /// Of ntfy (none = the installation's) and Gotify.
    #[serde(default)]
    pub server_url: Option<String>,
    /// Of alarms: ntfy 1 to 5, Gotify 0 to 10.
    #[serde(default)]
    pub priority: Option<u8>,
}

/// One thing told to people, before a channel gives it its form. All text is the team's own and must be escaped for the
/// medium; what is absent is left out of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same for every try, so that a receiver can tell a repetition from news.
    pub id: String,
    /// When it became true.
    pub occurred_at: DateTime<Utc>,
    /// One line: "Nightly site failed".
    pub title: String,
    /// What happened; none for a summary, a digest or a test message.
    pub event: Option<EventKind>,
    /// The team's name.
    pub team: String,
    /// The task's label.
    pub task: Option<String>,
    /// The server's label.
    pub server: Option<String>,
    /// The destinations' labels, each with what became of it.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// The run's state.
    pub state: Option<String>,
    /// Why, in one sentence.
    pub reason: Option<String>,
    /// Stored bytes.
    pub size_bytes: Option<u64>,
    /// Of the run, milliseconds.
    pub duration_ms: Option<u64>,
    /// When the task runs next.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The IANA zone in which times are shown.
    pub timezone: String,
    /// Where to look; none without a public URL.
    pub link: Option<String>,
    /// More lines, of a summary or a digest.
    #[serde(default)]
    pub lines: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_back() {
        for kind in StreamKind::ALL {
            assert_eq!(StreamKind::parse(kind.as_str()), Some(*kind));
        }
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::parse("Success"), None);
    }
}
