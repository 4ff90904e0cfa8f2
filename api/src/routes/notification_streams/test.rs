//! `POST /api/notification-streams/{id}/test`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::checks;
use crate::state::ApiState;
use crate::views::{CheckView, Data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_domain::ticket::TicketAction;
use serde_json::json;

/// Has a worker send a test message.
#[utoipa::path(post, path = "/api/notification-streams/{id}/test", tag = "notification-streams",
    params(("id" = u64, Path)),
    responses((status = 200, body = Data<CheckView>), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn test_notification_stream(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
) -> Result<Json<Data<CheckView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<NotificationStreamId, _>(tx.notification_streams().find(id).await?)?;
    tx.audit_events().record("notification_stream.test", &format!("notification_streams:{id}"), json!({})).await?;
    // A connection to the database is not held while a worker talks to a receiver.
    tx.commit().await?;
    checks::check(&state, &auth.access, TicketAction::TestNotificationStream { id }).await
}
