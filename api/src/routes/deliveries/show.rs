//! `GET /api/deliveries/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::delivery::DeliveryView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::DeliveryId;

/// One delivery: what it says, and how far it came.
#[utoipa::path(get, path = "/api/deliveries/{id}", tag = "notification-streams", params(("id" = u64, Path)),
    responses((status = 200, body = Data<DeliveryView>)))]
pub async fn show_delivery(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewNotificationStreams>,
    Id(id): Id<DeliveryId>,
) -> Result<Json<Data<DeliveryView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<DeliveryId, _>(tx.deliveries().find(id).await?)?;
    Ok(data(DeliveryView::of(row)))
}
