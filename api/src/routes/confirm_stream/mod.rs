//! The page on which the owner of an address agrees to a notification stream: whoever it is has no account here. Opening
//! the link changes nothing, because mail servers open links; the button does.

pub mod show;
pub mod submit;

use crate::accounts::Visitor;
use crate::html;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::http::StatusCode;
use axum::response::Response;
use holdfast_store::repositories::stream_links::FoundStreamLink;
use holdfast_vault::ticket::LinkSecret;

/// The link of `token`; counts as a try.
async fn open_link(
    state: &ApiState,
    visitor: &Visitor,
    token: &str,
) -> Result<Option<(LinkSecret, FoundStreamLink)>, Problem> {
    state.guessing().link(visitor, state.now())?;
    let Some(secret) = LinkSecret::parse(token) else { return Ok(None) };
    let found = state.store().find_stream_link(secret.hash().as_bytes(), state.now()).await?;
    Ok(found.map(|found| (secret, found)))
}

/// The same page for a wrong link, a used one, and none.
fn closed() -> Response {
    let text = "This link does not work: it was used, it is too old, or a newer one was sent.";
    html::notice(StatusCode::NOT_FOUND, "No such link", text)
}

fn refused(problem: &Problem) -> Response {
    html::notice(problem.status(), "Not now", &problem.sentences().join(" "))
}
