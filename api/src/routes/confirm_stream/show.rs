//! `GET /confirm-stream`

use super::{closed, open_link, refused};
use crate::accounts::Visitor;
use crate::html;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

/// Asks the owner of an address, who was mailed this link, whether a notification stream may send there. HTML.
#[utoipa::path(get, path = "/confirm-stream", tag = "notification-streams", params(("token" = String, Query)),
    responses((status = 200, description = "The question", content_type = "text/html", body = String),
        (status = 404, description = "No such link", content_type = "text/html", body = String)))]
pub async fn show_stream_confirmation(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Response {
    let token = html::query(&uri, "token");
    match open_link(&state, &visitor, &token).await {
        Ok(Some((_, found))) => question(&token, &found.email),
        Ok(None) => closed(),
        Err(problem) => refused(&problem),
    }
}

fn question(token: &str, email: &str) -> Response {
    let body = format!(
        "<h1>Messages about backups</h1><p>May messages about backups be sent to <strong>{email}</strong>? If you expect \
         none, close this page.</p><form method=\"post\" action=\"/confirm-stream\">\
         <input type=\"hidden\" name=\"token\" value=\"{token}\"><button type=\"submit\">Yes, send them</button></form>",
        email = html::escaped(email),
        token = html::escaped(token),
    );
    html::page(StatusCode::OK, "Messages about backups", &body)
}
