//! `GET /api/openapi.json`

use crate::state::ApiState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "system", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi_document(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.openapi().to_owned()).into_response()
}
