//! How large the head of a request may be. Stands in front of everything, so that no look-up, log or handler meets more.
//! What is larger still is refused where it is read (`crate::connections`), with the same status and no body.

use crate::problem::Problem;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Path and query.
pub(crate) const ADDRESS_MAX_BYTES: usize = 8 * 1024;
/// Names and values of all headers.
pub(crate) const HEADERS_MAX_BYTES: usize = 32 * 1024;
/// How many headers.
pub(crate) const HEADERS_MAX: usize = 100;

/// Refuses an address or headers that are too long.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    let address_bytes = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if address_bytes > ADDRESS_MAX_BYTES {
        let message = format!("The address may be {ADDRESS_MAX_BYTES} bytes long.");
        return Problem::new(StatusCode::URI_TOO_LONG, "address_too_long", message).into_response();
    }
    let headers = request.headers();
    let header_bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > HEADERS_MAX_BYTES || headers.len() > HEADERS_MAX {
        let message = format!("A request may have {HEADERS_MAX} headers of {HEADERS_MAX_BYTES} bytes together.");
        return Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message).into_response();
    }
    next.run(request).await
}
