//! What the routes of live events have in common.

use axum::http::{HeaderMap, Uri};

/// The id of the last event that a client has: the header, which a browser's EventSource sends by itself, or the query.
pub(super) fn last_event(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let of_query = || {
        let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        pairs.find(|(name, _)| name == "last_event_id").map(|(_, value)| value.into_owned())
    };
    headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned).or_else(of_query)
}
