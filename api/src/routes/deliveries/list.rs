//! `GET /api/deliveries`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::delivery::{DeliveryView, STATES};
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::deliveries::DeliveryFilter;

/// What the team was and is told over its notification streams; kept for 90 days. `filter[state]=dead` are the messages
/// that did not arrive.
#[utoipa::path(get, path = "/api/deliveries", tag = "notification-streams",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id` or `created_at`; with a dash in front descending"),
        ("filter[state]" = Option<String>, Query), ("filter[notification_stream_id]" = Option<u64>, Query),
        ("filter[backup_task_id]" = Option<u64>, Query)),
    responses((status = 200, body = ListBody<DeliveryView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_deliveries(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
    paging: Paging,
) -> Result<Json<ListBody<DeliveryView>>, Problem> {
    let filter = DeliveryFilter {
        state: paging.filter_of("state", STATES)?,
        notification_stream_id: paging.filter_id("notification_stream_id"),
        backup_task_id: paging.filter_id("backup_task_id"),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.deliveries().list(paging.request(), &filter).await?;
    Ok(Json(paging.envelope(listed, DeliveryView::of)))
}
