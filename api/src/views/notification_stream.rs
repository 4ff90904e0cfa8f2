//! A notification stream.

use super::time;
use holdfast_domain::notification::{EventKind, StreamConfig, StreamKind};
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A channel over which people are told.
#[derive(Serialize, ToSchema)]
pub struct NotificationStreamView {
    id: i64,
    user_id: i64,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    type_human: &'static str,
    notifications: NotificationsView,
    created_at: String,
    updated_at: String,
    /// Not of the peer: everything that is told over it. `overdue` is told whatever stands here.
    events: Vec<String>,
    /// Told of every task of the team, not only of those it is attached to.
    is_team_wide: bool,
    /// The address, URL or token is never shown.
    is_value_set: bool,
    /// Pushover's user key, a bot's or access token, a webhook's signing secret; never shown again.
    is_additional_value_set: bool,
    /// False while the owner of an e-mail stream's address has not agreed; nothing is sent there until then.
    is_confirmed: bool,
    /// Until then a webhook's signing secret from before signs beside the present one; null where none does.
    #[schema(required)]
    previous_secret_until: Option<String>,
    config: StreamConfigView,
    /// A signing secret that was made by this very request; shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// The peer's two events.
#[derive(Serialize, ToSchema)]
struct NotificationsView {
    on_success: bool,
    on_failure: bool,
}

/// What is no secret.
#[derive(Serialize, ToSchema)]
struct StreamConfigView {
    /// Of ntfy and Gotify.
    #[schema(required)]
    server_url: Option<String>,
    /// Of alarms: ntfy 1 to 5, Gotify 0 to 10.
    #[schema(required)]
    priority: Option<u8>,
}

impl NotificationStreamView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::notification_streams::Model) -> Self {
        let config: StreamConfig = serde_json::from_value(row.config).unwrap_or_default();
        let tells = |event: EventKind| row.events.iter().any(|text| text == event.as_str());
        Self {
            id: row.id,
            user_id: row.user_id,
            label: row.label,
            type_human: StreamKind::parse(&row.r#type).map_or("", StreamKind::human),
            notifications: NotificationsView {
                on_success: tells(EventKind::Success),
                on_failure: tells(EventKind::Failure),
            },
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
            events: row.events,
            is_team_wide: row.is_team_wide,
            is_value_set: true,
            is_confirmed: row.r#type != StreamKind::Email.as_str() || row.confirmed_at.is_some(),
            is_additional_value_set: row.sealed_second_value.is_some(),
            previous_secret_until: time::utc_or_null(row.previous_until),
            config: StreamConfigView { server_url: config.server_url, priority: config.priority },
            kind: row.r#type,
            secret: None,
        }
    }

    /// With a signing secret that was just made.
    #[must_use]
    pub fn with_secret(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
    }
}
