//! The one error body of the API, `{error, message, code[, errors]}`, and the one place where an error becomes it.
//! An internal cause must never reach a client: it is logged with an id, and the client gets the id.

use crate::relay::RelayError;
use crate::throttle::Refused;
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdfast_domain::Ability;
use holdfast_store::StoreError;
use holdfast_store::repositories::team_limits::LimitReached;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Everything wrong with a body: field → sentences, in the order in which the fields are declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<(String, Vec<String>)>);

impl FieldErrors {
    /// One sentence about one field.
    #[must_use]
    pub fn one(field: &str, sentence: impl Into<String>) -> Self {
        Self(vec![(field.to_owned(), vec![sentence.into()])])
    }

    /// Adds a sentence to a field.
    pub fn push(&mut self, field: &str, sentence: String) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, sentences)) => sentences.push(sentence),
            None => self.0.push((field.to_owned(), vec![sentence])),
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for FieldErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, sentences) in &self.0 {
            map.serialize_entry(field, sentences)?;
        }
        map.end()
    }
}

/// The body of every answer that is no success.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The status in words.
    pub error: Cow<'static, str>,
    /// One sentence for a person.
    pub message: String,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// 422 only: field → sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Vec<String>>>)]
    pub errors: Option<FieldErrors>,
    /// 409 on deleting something in use: what uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, u64>>)]
    pub counts: Option<serde_json::Value>,
    /// 409 `limit_reached` only: which limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
    /// 409 `limit_reached` only: how much the team may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u64>,
}

/// An answer that is no success. Boxed: it travels as the error of nearly every function.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    title: Cow<'static, str>,
    code: Cow<'static, str>,
    message: String,
    errors: Option<FieldErrors>,
    counts: Option<serde_json::Value>,
    limit: Option<(&'static str, u64)>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem with the status's own title.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            code: code.into(),
            message: message.into(),
            errors: None,
            counts: None,
            limit: None,
            headers: HeaderMap::new(),
        }))
    }

    /// 401. Never says why: unknown, expired, revoked and malformed tokens look the same.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthenticated.");
        problem.0.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        problem
    }

    /// 403 that names the ability.
    #[must_use]
    pub fn missing_ability(ability: Ability) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "missing_ability",
            format!(
                "Access denied due to insufficient permissions. Required token ability scopes: {}",
                ability.as_str()
            ),
        )
    }

    /// 404 for a foreign or absent `thing`, with the same bytes for both.
    #[must_use]
    pub fn not_found(thing: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{thing} not found"))
    }

    /// 400.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_body", message)
    }

    /// 409.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// Says when to ask again.
    #[must_use]
    pub fn retry_after_secs(mut self, seconds: u64) -> Self {
        self.0.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    /// 409 for deleting something in use.
    #[must_use]
    pub fn in_use(message: String, counts: serde_json::Value) -> Self {
        let mut problem = Self::conflict("in_use", message);
        problem.0.counts = Some(counts);
        problem
    }

    /// 409: the team has all that it may have.
    #[must_use]
    pub fn limit_reached(reached: LimitReached) -> Self {
        let LimitReached { limit, allowed } = reached;
        let message = format!("The team's limit {} is reached: {allowed}.", limit.as_str());
        let mut problem = Self::conflict("limit_reached", message);
        problem.0.limit = Some((limit.as_str(), allowed));
        problem
    }

    /// 422.
    #[must_use]
    pub fn validation(errors: FieldErrors) -> Self {
        let message = "The given data was invalid.";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message);
        problem.0.title = Cow::Borrowed("Validation Error");
        problem.0.errors = Some(errors);
        problem
    }

    /// 422 about one field.
    #[must_use]
    pub fn field(field: &str, sentence: impl Into<String>) -> Self {
        Self::validation(FieldErrors::one(field, sentence))
    }

    /// The same refusal of a value, told of the field that a route calls it by; anything else as it is.
    #[must_use]
    pub fn about_field(self, field: &str, sentence: &str) -> Self {
        if self.0.status == StatusCode::UNPROCESSABLE_ENTITY { Self::field(field, sentence) } else { self }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Every sentence about the fields, or the message: for a page that shows them.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        match &self.0.errors {
            Some(errors) => errors.0.iter().flat_map(|(_, sentences)| sentences.clone()).collect(),
            None => vec![self.0.message.clone()],
        }
    }

    /// 429.
    #[must_use]
    pub fn throttled(refused: &Refused, message: &str) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        problem.0.headers.extend(refused.headers());
        problem
    }

    /// 503.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 500: the cause goes to the log under an id, the id to the client.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(inner) = next {
            chain.push_str(": ");
            chain.push_str(&inner.to_string());
            next = inner.source();
        }
        Self::internal_text(&chain)
    }

    /// As [`Problem::internal`], for a cause that is only text.
    #[must_use]
    pub fn internal_text(cause: &str) -> Self {
        let id = uuid::Uuid::now_v7();
        tracing::error!(%id, cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("Something went wrong on our side. The operator finds it in the log as {id}."),
        )
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "database unavailable");
                let message = "The database does not answer at the moment. Try again in a minute.";
                Self::unavailable("database_unavailable", message)
            }
            other => Self::internal(&other),
        }
    }
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        let sentence = |text: String| {
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}{}", chars.as_str(), if text.ends_with('.') { "" } else { "." })
        };
        match error {
            RelayError::NoWorker => Self::unavailable("no_worker", sentence(error.to_string())),
            RelayError::TimedOut => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "worker_timed_out", sentence(error.to_string()))
            }
            // Our ticket was refused: nothing that the client could repair by logging in again.
            RelayError::Answered { status: StatusCode::UNAUTHORIZED, .. } => {
                Self::unavailable("no_worker", "The worker did not take the request. Try again.")
            }
            RelayError::Answered { status, code, message } => Self::new(status, code, sentence(message)),
            RelayError::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let body = ProblemBody {
            error: parts.title,
            message: parts.message,
            code: parts.code,
            errors: parts.errors,
            counts: parts.counts,
            limit: parts.limit.map(|(name, _)| name),
            allowed: parts.limit.map(|(_, allowed)| allowed),
        };
        (parts.status, parts.headers, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_collect_sentences() {
        let mut errors = FieldErrors::one("z", "one");
        errors.push("a", "two".to_owned());
        errors.push("z", "three".to_owned());
        assert_eq!(serde_json::to_string(&errors).unwrap(), r#"{"z":["one","three"],"a":["two"]}"#);
    }

    #[tokio::test]
    async fn a_database_error_says_nothing_of_itself() {
        let error = StoreError::Inconsistent { table: "secret_table", id: "7".into(), problem: "boom".into() };
        let response = Problem::from(error).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains("secret_table") && !text.contains("boom"), "{text}");
    }
}
