//! `POST /api/notification-streams/{id}/confirmation`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::stream_address;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_store::repositories::stream_links::Asked;
use serde_json::json;

/// Mails another link to the address of an e-mail stream that is not confirmed yet; the earlier link is dead from then on.
/// At most 20 an hour of a team, and 5 to one address.
#[utoipa::path(post, path = "/api/notification-streams/{id}/confirmation", tag = "notification-streams",
    params(("id" = u64, Path)),
    responses((status = 202, body = Message), (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn ask_stream_address(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<NotificationStreamId, _>(tx.notification_streams().find_for_update(id).await?)?;
    if row.address_hash.is_none() || row.confirmed_at.is_some() {
        return Err(Problem::conflict("nothing_to_confirm", "There is no address to be confirmed in this stream."));
    }
    match stream_address::mail(&state, &tx, (auth.user_id, id), None).await? {
        Asked::OnItsWay => {}
        Asked::Limited => {
            let message = "Enough of these mails were sent. Try again in an hour.";
            return Err(Problem::conflict("limit_reached", message));
        }
        Asked::NoAddress => {
            let message = "Nobody was asked yet. Enter the address again: it is stored sealed.";
            return Err(Problem::conflict("address_unknown", message));
        }
    }
    let subject = format!("notification_streams:{id}");
    tx.audit_events().record("notification_stream.ask_address", &subject, json!({})).await?;
    tx.commit().await?;
    let message = "A mail with a link is on its way to the address.".to_owned();
    Ok((StatusCode::ACCEPTED, Json(Message { message })))
}
