//! `GET /api/notification-settings`

use super::NotificationSettingsView;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// Whether the team is in quiet mode, and until when.
#[utoipa::path(get, path = "/api/notification-settings", tag = "notification-streams",
    responses((status = 200, body = Data<NotificationSettingsView>)))]
pub async fn show_notification_settings(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
) -> Result<Json<Data<NotificationSettingsView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    Ok(data(NotificationSettingsView::of(tx.deliveries().quiet_until(state.now()).await?)))
}
