//! `DELETE /api/notification-streams/{id}`

use super::SECRETS;
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::notification_stream::NotificationStreamView;
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_store::Changes;
use serde_json::json;

/// Removes a stream with its secrets, and detaches it from every task.
#[utoipa::path(delete, path = "/api/notification-streams/{id}", tag = "notification-streams",
    params(("id" = u64, Path)), responses((status = 200, body = Message),
        (status = 204, description = "As 200, to a client that sends no `Accept`.")))]
pub async fn delete_notification_stream(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<NotificationStreamId, _>(tx.notification_streams().find_for_update(id).await?)?;
    tx.notification_streams().delete(id).await?;
    let changes = Changes::removed(&NotificationStreamView::of(row.clone()));
    let changes = secrets(changes, Some(&row), None, SECRETS);
    let subject = format!("notification_streams:{id}");
    tx.audit_events().record_change("notification_stream.delete", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(deletion.answer(Message { message: "Notification stream successfully deleted".to_owned() }))
}
