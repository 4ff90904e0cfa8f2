//! `Idempotency-Key` on every POST that starts or creates something for somebody: the first request with a key is carried
//! out, a repeated one gets the first one's answer (draft-ietf-httpapi-idempotency-key-header). What came to nothing (any
//! status but 2xx) is not remembered. An answer that shows a secret must never be kept: of those routes only is known
//! that it happened.

use crate::extract::authorized::Granted;
use crate::extract::{Need, body};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use futures_util::FutureExt;
use holdfast_store::repositories::idempotency_keys::{HeldKey, KeyClaim, KeyedRequest};
use holdfast_store::{Access, StoreError};
use sha2::{Digest, Sha256};
use std::panic::AssertUnwindSafe;

/// The header, in requests.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
pub static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How long a key is remembered.
const LIVES: TimeDelta = TimeDelta::hours(24);
/// A request that has not ended by now never will: its process ended first.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(10);
/// A longer answer is not kept.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;
const KEY_MAX_BYTES: usize = 255;

/// Routes whose answer shows a secret once. A test looks for answers that seem to hold one and are not listed.
pub(crate) const SHOWS_SECRET: &[&str] = &[
    "/api/tokens",
    "/api/notification-streams",
    "/api/notification-streams/{id}/rotate-secret",
    "/api/backup-tasks/{id}/webhook",
];

/// Whether requests of the route may carry a key. What somebody does to their own session or proofs may not: its answer
/// is true of its moment alone (`Confirmed for ten minutes.`), and comes with a cookie.
pub(crate) fn is_repeatable(method: &str, path: &str, need: Need) -> bool {
    let is_of_session = path.starts_with("/api/auth/") || path.starts_with("/api/user/");
    method == "POST" && !need.is_open() && !is_of_session
}

/// Stands behind the guard of a POST.
pub(crate) async fn once(is_kept: bool, request: Request, next: Next) -> Response {
    let key = match key_of(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(key)) => key,
        Err(problem) => return problem.into_response(),
    };
    let found = (request.extensions().get::<ApiState>().cloned(), request.extensions().get::<Granted>().cloned());
    let (Some(state), Some(granted)) = found else {
        return Problem::internal_text("an idempotency key before the guard").into_response();
    };
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&parts.headers, body, state.max_body_bytes()).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let keyed = KeyedRequest {
        user_id: granted.user_id,
        key_sha256: Sha256::digest(key.as_bytes()).to_vec(),
        request_sha256: fingerprint(&key, &parts, &bytes),
    };
    let attempt = Attempt { state, access: granted.access, keyed, is_kept };
    match attempt.claim().await {
        Ok(KeyClaim::Fresh) => attempt.carry_out(Request::from_parts(parts, Body::from(bytes)), next).await,
        Ok(KeyClaim::Held(held)) => attempt.repeated(held),
        Ok(KeyClaim::Released) => in_progress().into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// One key, plain or as a quoted string of structured fields; both spell the same key.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let is_key = !key.is_empty() && key.len() <= KEY_MAX_BYTES && key.bytes().all(|b| b.is_ascii_graphic());
    if !is_key || given.next().is_some() {
        let message = "Send one Idempotency-Key of 1 to 255 visible ASCII characters, such as a UUID.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", message));
    }
    Ok(Some(key.to_owned()))
}

/// Each part with its length, so that no two requests look the same. The key, which is not kept, is one of them: without
/// it the hash tells nothing of a password in the body.
fn fingerprint(key: &str, parts: &Parts, body: &[u8]) -> Vec<u8> {
    let address = parts.uri.path_and_query().map_or("", |address| address.as_str());
    let media = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let mut hash = Sha256::new();
    for part in [key.as_bytes(), parts.method.as_str().as_bytes(), address.as_bytes(), media, body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn in_progress() -> Problem {
    let message = "The first request with this Idempotency-Key is still being carried out. Ask again in a moment.";
    Problem::conflict("idempotency_in_progress", message).retry_after_secs(1)
}

struct Attempt {
    state: ApiState,
    access: Access,
    keyed: KeyedRequest,
    is_kept: bool,
}

impl Attempt {
    async fn claim(&self) -> Result<KeyClaim, StoreError> {
        let tx = self.state.store().for_team(&self.access).await?;
        let claim = tx.idempotency_keys().claim(&self.keyed, self.state.now(), LIVES).await?;
        tx.commit().await?;
        Ok(claim)
    }

    /// In a task of its own: a client that goes away must not leave the key without an answer, because it will come back
    /// with it.
    async fn carry_out(self, request: Request, next: Next) -> Response {
        let work = async move {
            let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
            match outcome {
                Ok(response) => self.ended(response).await,
                Err(cause) => {
                    self.release().await;
                    std::panic::resume_unwind(cause)
                }
            }
        };
        match tokio::spawn(work).await {
            Ok(response) => response,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Problem::internal(&error).into_response(),
        }
    }

    /// Remembers a success. Where that fails the key stays taken, so that nothing is carried out twice.
    async fn ended(self, response: Response) -> Response {
        if !response.status().is_success() {
            self.release().await;
            return response;
        }
        let is_short = response.body().size_hint().exact().is_some_and(|size| size <= ANSWER_MAX_BYTES);
        let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
        let (parts, body) = response.into_parts();
        let (answer, body) = if self.is_kept && is_short && is_json {
            match to_bytes(body, ANSWER_MAX_BYTES as usize).await {
                Ok(bytes) => (Some(bytes.to_vec()), Body::from(bytes)),
                Err(error) => return Problem::internal(&error).into_response(),
            }
        } else {
            (None, body)
        };
        if let Err(error) = self.keep(parts.status.as_u16(), answer).await {
            tracing::error!(?error, "the answer to a repeatable request was not kept");
        }
        Response::from_parts(parts, body)
    }

    async fn keep(&self, status: u16, answer: Option<Vec<u8>>) -> Result<(), StoreError> {
        let tx = self.state.store().for_team(&self.access).await?;
        tx.idempotency_keys().keep(&self.keyed, status, answer).await?;
        tx.commit().await
    }

    async fn release(&self) {
        let released = async {
            let tx = self.state.store().for_team(&self.access).await?;
            tx.idempotency_keys().release(&self.keyed).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::error!(?error, "an idempotency key was not given back");
        }
    }

    fn repeated(&self, held: HeldKey) -> Response {
        if held.request_sha256 != self.keyed.request_sha256 {
            let message = "This Idempotency-Key was used for another request. Use a new key for a new request.";
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message).into_response();
        }
        let status = held.status.and_then(|status| StatusCode::from_u16(status.unsigned_abs()).ok());
        match (status, held.answer) {
            (Some(status), Some(answer)) => {
                let headers = [
                    (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
                    (REPLAYED.clone(), HeaderValue::from_static("true")),
                ];
                (status, headers, answer).into_response()
            }
            (Some(_), None) => {
                let message = "The request with this Idempotency-Key was carried out. Its answer is not kept.";
                Problem::conflict("idempotency_answer_not_kept", message).into_response()
            }
            (None, _) if self.state.now() - held.created_at < LOST_AFTER => in_progress().into_response(),
            (None, _) => {
                let message = "The process ended before it answered the first request with this Idempotency-Key. Look \
                               whether it took effect; then use a new key.";
                Problem::conflict("idempotency_outcome_unknown", message).into_response()
            }
        }
    }
}
