//! How the deletion of something is answered. Two clients that exist want opposite things where page 003 does not speak:
//! the PHP library, which sends `Accept: application/json`, fails on an empty body, and the mobile app, which sends no
//! `Accept` at all, takes nothing but 204 for a success. So a client that names nothing it accepts gets no body. Not for
//! tasks and tags, of which both expect 200.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::convert::Infallible;

/// Whether the client wants to hear what was deleted.
pub struct Deletion {
    is_silent: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Deletion {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { is_silent: !parts.headers.contains_key(header::ACCEPT) })
    }
}

impl Deletion {
    /// 200 with `body`, or 204.
    pub fn answer(self, body: impl Serialize) -> Response {
        if self.is_silent { StatusCode::NO_CONTENT.into_response() } else { Json(body).into_response() }
    }
}
