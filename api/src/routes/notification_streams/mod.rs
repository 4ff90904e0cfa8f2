//! The channels over which people are told.

pub mod ask_address;
pub mod create;
pub mod delete;
pub mod list;
pub mod rotate_secret;
pub mod show;
pub mod test;
pub mod update;

use crate::audit::SealedFields;
use crate::stream_rules::{StreamRules, ValueProblem};
use crate::validation::{Fields, Mode, Presence, texts};
use holdfast_domain::notification::{EventKind, StreamConfig, StreamKind};
use holdfast_store::rows;
use utoipa::ToSchema;
use validator::Validate;

/// What is sealed in a row.
const SECRETS: &SealedFields<rows::notification_streams::Model> =
    &[("value", |row| Some(&row.sealed_value)), ("additional_value", |row| row.sealed_second_value.as_deref())];

/// A stream as a client writes it: the peer's names, and ours.
#[derive(Default, Validate, ToSchema)]
#[schema(as = NotificationStreamBody)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    label: Option<String>,
    /// `email`, `discord_webhook`, `slack_webhook`, `teams_webhook`, `pushover`, `telegram`, `ntfy`, `gotify`, `webhook`.
    #[schema(rename = "type")]
    kind: Option<String>,
    /// Write-only: the address, URL, chat number, topic or token.
    value: Option<String>,
    /// Write-only: Pushover's user key, Telegram's bot token, ntfy's access token, a webhook's signing secret (two with a
    /// space between while it is changed; made and shown once where none is given).
    additional_value: Option<String>,
    notifications: Option<Notifications>,
    /// Instead of `notifications`: everything that is told.
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<Vec<String>>,
    is_team_wide: Option<bool>,
    config: Option<Config>,
    #[schema(ignore)]
    clears_additional_value: bool,
}

/// The peer's two events.
#[derive(Default, ToSchema)]
#[schema(as = NotificationStreamNotifications)]
pub(crate) struct Notifications {
    on_success: Option<bool>,
    on_failure: Option<bool>,
}

/// What is no secret.
#[derive(Default, ToSchema)]
#[schema(as = NotificationStreamConfig)]
pub(crate) struct Config {
    /// Of ntfy (without it the installation's) and Gotify.
    server_url: Option<String>,
    /// Of alarms: ntfy 1 to 5, Gotify 0 to 10.
    priority: Option<i64>,
    #[schema(ignore)]
    clears_server_url: bool,
    #[schema(ignore)]
    clears_priority: bool,
}

impl Config {
    /// Null, sent as a field's value or instead of the whole, clears what is stored.
    fn read(fields: &mut Fields, rules: StreamRules) -> Option<Self> {
        if fields.sent("config") && !fields.filled("config") {
            return Some(Self { clears_server_url: true, clears_priority: true, ..Self::default() });
        }
        let is_cleared = |inner: &Fields, name: &str| inner.sent(name) && !inner.filled(name);
        fields.object("config", Presence::Optional, |inner| Self {
            clears_server_url: is_cleared(inner, "server_url"),
            clears_priority: is_cleared(inner, "priority"),
            server_url: inner.parsed("server_url", Presence::Optional, |raw| rules.server_url(raw)),
            priority: inner.integer("priority", Presence::Optional),
        })
    }
}

impl Body {
    /// `stored`: the kind that the row has, for an update that does not name one.
    fn read(fields: &mut Fields, stored: Option<StreamKind>, rules: StreamRules) -> Self {
        let known: Vec<&str> = StreamKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let events = |text: &str| {
            EventKind::parse(text.trim()).map(|event| event.as_str().to_owned()).ok_or("there is no such event")
        };
        let label = fields.string("label", Presence::Required);
        let kind = fields.one_of("type", Presence::Required, &known);
        let effective = kind.as_deref().and_then(StreamKind::parse).or(stored);
        let value = fields.secret("value", Presence::Required, false);
        let additional_value = fields.secret("additional_value", Presence::Optional, false);
        let needed = if fields.sent("events") { Presence::Optional } else { Presence::Required };
        let notifications = fields.object("notifications", needed, |inner| Notifications {
            on_success: inner.boolean("on_success", Presence::Required),
            on_failure: inner.boolean("on_failure", Presence::Required),
        });
        if fields.mode() == Mode::Create && needed == Presence::Required && !fields.filled("notifications") {
            // The peer tells of the inner fields too.
            for name in ["notifications.on_success", "notifications.on_failure"] {
                fields.fail_required(name);
            }
        }
        let mut body = Self {
            label,
            kind,
            notifications,
            events: fields.strings("events", Presence::Optional, EventKind::ALL.len(), events),
            is_team_wide: fields.boolean("is_team_wide", Presence::Optional),
            config: Config::read(fields, rules),
            clears_additional_value: fields.sent("additional_value") && !fields.filled("additional_value"),
            ..Self::default()
        };
        fields.check(&body);
        if let Some(kind) = effective {
            body.value = value.and_then(|raw| checked(fields, rules, kind, &raw));
            body.additional_value = additional_value.and_then(|raw| {
                rules.additional_value(kind, &raw).map_err(|p| fields.fail_invalid("additional_value", &p)).ok()
            });
            body.check_priority(fields, kind);
        }
        body
    }

    fn check_priority(&self, fields: &mut Fields, kind: StreamKind) {
        let Some(priority) = self.config.as_ref().and_then(|config| config.priority) else { return };
        let range = match kind {
            StreamKind::Ntfy => 1..=5,
            _ => 0..=10,
        };
        if !range.contains(&priority) {
            fields.fail_invalid("config.priority", &format!("it must be from {} to {}", range.start(), range.end()));
        }
    }

    /// What is told, on top of what a row has.
    fn events(&self, before: &[String]) -> Vec<String> {
        if let Some(events) = &self.events {
            return EventKind::ALL
                .iter()
                .map(|e| e.as_str())
                .filter(|e| events.iter().any(|x| x == e))
                .map(str::to_owned)
                .collect();
        }
        let Some(wanted) = &self.notifications else { return before.to_vec() };
        let is_told = |event: EventKind| {
            let has = before.iter().any(|text| text == event.as_str());
            match event {
                EventKind::Success | EventKind::Recovered => wanted.on_success.unwrap_or(has),
                event if event.is_alarm() => wanted.on_failure.unwrap_or(has),
                _ => has,
            }
        };
        EventKind::ALL.iter().copied().filter(|event| is_told(*event)).map(|event| event.as_str().to_owned()).collect()
    }

    /// The stored form, on top of what a row has.
    fn config(&self, kind: StreamKind, before: StreamConfig) -> StreamConfig {
        if !matches!(kind, StreamKind::Ntfy | StreamKind::Gotify) {
            return StreamConfig::default();
        }
        let Some(config) = &self.config else { return before };
        let kept = StreamConfig {
            server_url: before.server_url.filter(|_| !config.clears_server_url),
            priority: before.priority.filter(|_| !config.clears_priority),
        };
        StreamConfig {
            server_url: config.server_url.clone().or(kept.server_url),
            priority: config.priority.and_then(|priority| u8::try_from(priority).ok()).or(kept.priority),
        }
    }
}

fn checked(fields: &mut Fields, rules: StreamRules, kind: StreamKind, raw: &str) -> Option<String> {
    match rules.value(kind, raw) {
        Ok(value) => Some(value),
        Err(ValueProblem::TooLong(max)) => {
            fields.fail("value", texts::too_long("value", max));
            None
        }
        Err(ValueProblem::Form(problem)) => {
            fields.fail_invalid("value", &problem);
            None
        }
    }
}
