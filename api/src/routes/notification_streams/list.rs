//! `GET /api/notification-streams`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::notification_stream::NotificationStreamView;
use axum::Json;
use axum::extract::State;

/// The team's notification streams.
#[utoipa::path(get, path = "/api/notification-streams", tag = "notification-streams",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In the label")),
    responses((status = 200, body = ListBody<NotificationStreamView>)))]
pub async fn list_notification_streams(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
    paging: Paging,
) -> Result<Json<ListBody<NotificationStreamView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.notification_streams().list(paging.request(), paging.search()).await?;
    Ok(Json(paging.envelope(listed, NotificationStreamView::of)))
}
