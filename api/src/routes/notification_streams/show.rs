//! `GET /api/notification-streams/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::notification_stream::NotificationStreamView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::NotificationStreamId;

/// One notification stream.
#[utoipa::path(get, path = "/api/notification-streams/{id}", tag = "notification-streams", params(("id" = u64, Path)),
    responses((status = 200, body = Data<NotificationStreamView>)))]
pub async fn show_notification_stream(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
) -> Result<Json<Data<NotificationStreamView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<NotificationStreamId, _>(tx.notification_streams().find(id).await?)?;
    Ok(data(NotificationStreamView::of(row)))
}
