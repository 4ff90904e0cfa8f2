//! How the team is told.

pub mod show;
pub mod update;

use crate::views::time;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How the team is told.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationSettings)]
pub struct NotificationSettingsView {
    /// Until then nothing is sent but the alarm on absence (`overdue`). Null: nothing is held back. It ends by itself.
    #[schema(required)]
    quiet_until: Option<String>,
}

impl NotificationSettingsView {
    fn of(quiet_until: Option<DateTime<Utc>>) -> Self {
        Self { quiet_until: time::utc_or_null(quiet_until) }
    }
}
