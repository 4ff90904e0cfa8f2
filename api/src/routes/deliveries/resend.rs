//! `POST /api/deliveries/{id}/resend`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::delivery::DeliveryView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::DeliveryId;
use serde_json::json;

/// Sends a message again that is over: dead, kept back, or sent. It has the same id, begins with its first try, and goes
/// past quiet mode and the team's limit. 409 `delivery_pending` while it is on its way.
#[utoipa::path(post, path = "/api/deliveries/{id}/resend", tag = "notification-streams", params(("id" = u64, Path)),
    responses((status = 202, body = Data<DeliveryView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn resend_delivery(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    Id(id): Id<DeliveryId>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<DeliveryView>>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<DeliveryId, _>(tx.deliveries().find(id).await?)?;
    fields.refuse_unknown();
    fields.finish()?;
    let Some(row) = tx.deliveries().resend(id).await? else {
        return Err(Problem::conflict("delivery_pending", "This message is on its way already."));
    };
    tx.audit_events().record("delivery.resend", &format!("deliveries:{id}"), json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, data(DeliveryView::of(row))))
}
