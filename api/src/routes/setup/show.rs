//! `GET /setup`

use super::page::{self, Typed};
use crate::accounts::Visitor;
use crate::html;
use crate::routes::auth::setup::open_link;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

/// The set-up form, for whoever has the link that the start printed. HTML.
#[utoipa::path(get, path = "/setup", tag = "auth", params(("token" = String, Query)),
    responses((status = 200, description = "The form", content_type = "text/html", body = String),
        (status = 404, description = "No such link", content_type = "text/html", body = String)))]
pub async fn show_setup(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Response {
    let token = html::query(&uri, "token");
    match open_link(&state, &visitor, &token).await {
        Ok(_) => page::form(StatusCode::OK, &token, &Typed::default(), &[]),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => closed(),
        Err(problem) => html::notice(problem.status(), "Not now", &problem.sentences().join(" ")),
    }
}

/// The same page for a wrong link, a used one, and none.
pub(super) fn closed() -> Response {
    let text = "This link does not work: it was used, or a newer one was printed at the last start.";
    html::notice(StatusCode::NOT_FOUND, "No such link", text)
}
