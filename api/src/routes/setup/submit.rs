//! `POST /setup`
//!
//! A page elsewhere cannot make a browser set this up: it would need the secret, which stands in no cookie. A foreign
//! origin is refused all the same.

use super::page::{self, Typed};
use super::show::closed;
use crate::accounts::Visitor;
use crate::extract::PageBody;
use crate::html;
use crate::problem::Problem;
use crate::routes::auth::setup::{Body, open_link, set_up};
use crate::state::ApiState;
use crate::validation::Fields;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

/// The set-up form, filled in. HTML; the token is shown this once.
#[utoipa::path(post, path = "/setup", tag = "auth",
    request_body(content = Body, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, description = "Done", content_type = "text/html", body = String),
        (status = 404, description = "No such link", content_type = "text/html", body = String)))]
pub async fn submit_setup(
    State(state): State<ApiState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Result<PageBody, Problem>,
) -> Response {
    if is_from_elsewhere(&headers) {
        return html::notice(StatusCode::FORBIDDEN, "Refused", "This form was sent from another site.");
    }
    let mut fields = match body {
        Ok(PageBody(fields)) => fields,
        Err(problem) => return html::notice(problem.status(), "Refused", &problem.sentences().join(" ")),
    };
    let text = |name| fields.peek_text(name).unwrap_or_default();
    let token = text("token");
    let typed = Typed { name: text("name"), email: text("email"), timezone: text("timezone") };
    match run(&state, &visitor, &mut fields, &token).await {
        Ok(token) => page::done(&token),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => closed(),
        Err(problem) => page::form(problem.status(), &token, &typed, &problem.sentences()),
    }
}

async fn run(state: &ApiState, visitor: &Visitor, fields: &mut Fields, token: &str) -> Result<String, Problem> {
    open_link(state, visitor, token).await?;
    let body = Body::read(fields);
    std::mem::take(fields).finish()?;
    Ok(set_up(state, visitor, body).await?.token)
}

/// What a browser says of where the form stood; a client that is no browser says nothing.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = text(header::HOST).unwrap_or_default();
    let named = origin.split_once("://").map(|(_, name)| name);
    // `no-referrer` makes some browsers send `Origin: null` for a form of this very page.
    origin != "null" && !named.is_some_and(|name| name.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn another_site_is_told_apart() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect()
        };
        assert!(is_from_elsewhere(&headers(&[("sec-fetch-site", "cross-site")])));
        assert!(is_from_elsewhere(&headers(&[("origin", "https://evil.example"), ("host", "h:1")])));
        assert!(!is_from_elsewhere(&headers(&[("origin", "http://h:1"), ("host", "h:1")])));
        assert!(!is_from_elsewhere(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!is_from_elsewhere(&headers(&[])));
    }
}
