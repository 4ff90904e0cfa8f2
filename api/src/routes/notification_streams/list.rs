//! `GET /api/notification-streams`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::notification_stream::NotificationStreamView;
use axum::Json;
use axum::extract::State;
use holdfast_domain::notification::StreamKind;

/// The team's notification streams.
#[utoipa::path(get, path = "/api/notification-streams", tag = "notification-streams",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In the label"), ("filter[type]" = Option<String>, Query)),
    responses((status = 200, body = ListBody<NotificationStreamView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_notification_streams(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<NotificationStreamView>>, Problem> {
    let known: Vec<_> = StreamKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = paging.filter_of("type", &known)?;
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.notification_streams().list(paging.request(), paging.search(), kind.as_deref()).await?;
    Ok(Json(paging.envelope(listed, NotificationStreamView::of)))
}
