//! How the data plane says no. The api repeats code and sentence to its client, so neither may name a secret, a path
//! of this machine or another tenant's anything.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use holdfast_domain::ticket::DataPlaneProblem;
use holdfast_domain::{Failure, FailureCode};
use holdfast_store::StoreError;

/// A refusal with its status.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    problem: DataPlaneProblem,
}

impl Refusal {
    /// `status` with a code and a sentence.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, problem: DataPlaneProblem { code: code.to_owned(), message: message.into() } }
    }

    /// No ticket, or none that opens anything.
    pub fn no_ticket() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "ticket_invalid", "This needs a fresh ticket.")
    }

    /// The ticket's object is not there (any more).
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        use FailureCode::{
            CopyDamaged, DestinationFailed, DestinationMissing, DestinationRefused, Internal, ManifestInvalid,
            SecretUnavailable, StoreOffline,
        };
        let status = match failure.code {
            StoreOffline | SecretUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            CopyDamaged | ManifestInvalid | DestinationFailed | DestinationRefused | DestinationMissing => {
                StatusCode::BAD_GATEWAY
            }
            Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, failure.code.as_str(), failure.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!("data plane: {error:?}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "database_unavailable",
            "The database is unavailable; try again later.",
        )
    }
}
