//! `POST /confirm-stream`

use super::{closed, open_link, refused};
use crate::accounts::Visitor;
use crate::extract::PageBody;
use crate::html;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::stream_address::address_hash;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_store::{Access, Changes};
use serde_json::json;
use utoipa::ToSchema;

/// The secret from the mail.
#[derive(ToSchema)]
#[schema(as = StreamConfirmation)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    token: String,
}

/// The owner of an address agrees: the stream sends there from now on. HTML; the link works once.
#[utoipa::path(post, path = "/confirm-stream", tag = "notification-streams",
    request_body(content = Body, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Done", content_type = "text/html", body = String),
        (status = 404, description = "No such link", content_type = "text/html", body = String)))]
pub async fn confirm_stream(
    State(state): State<ApiState>,
    visitor: Visitor,
    body: Result<PageBody, Problem>,
) -> Response {
    let token = match body {
        Ok(PageBody(fields)) => fields.peek_text("token").unwrap_or_default(),
        Err(problem) => return refused(&problem),
    };
    match confirm(&state, &visitor, &token).await {
        Ok(true) => {
            html::notice(StatusCode::OK, "Done", "Messages about backups are sent to your address from now on.")
        }
        Ok(false) => closed(),
        Err(problem) => refused(&problem),
    }
}

async fn confirm(state: &ApiState, visitor: &Visitor, token: &str) -> Result<bool, Problem> {
    let Some((secret, found)) = open_link(state, visitor, token).await? else { return Ok(false) };
    let access = Access::system(found.team_id, "a confirmed address").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    let Some(mut row) = tx.notification_streams().find_for_update(found.stream_id).await? else { return Ok(false) };
    // The stream may have got another address meanwhile.
    let is_its_address = row.address_hash == Some(address_hash(row.seal_id, &found.email));
    if !is_its_address || !tx.stream_links().use_up(secret.hash().as_bytes(), state.now()).await? {
        return Ok(false);
    }
    row.confirmed_at = Some(state.now());
    let row = tx.notification_streams().save(row).await?;
    let changes = Changes::default().field("is_confirmed", false, true);
    let subject = format!("notification_streams:{}", row.id);
    tx.audit_events().record_change("notification_stream.confirm", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(true)
}
