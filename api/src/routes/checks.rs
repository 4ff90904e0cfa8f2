//! `check` of a server or destination: a worker does it, its answer is passed on.

use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::{CheckView, Data, data};
use axum::Json;
use holdfast_domain::ticket::TicketAction;
use holdfast_store::Access;
use serde::de::DeserializeOwned;

/// Largest answer of a worker that is read whole.
const ANSWER_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Has a worker do the check in `action`.
///
/// # Errors
/// 503 without a worker, 504 when it does not answer in time.
pub async fn check(state: &ApiState, access: &Access, action: TicketAction) -> Result<Json<Data<CheckView>>, Problem> {
    Ok(data(ask(state, access, action).await?))
}

/// Has a worker do `action` and reads its answer.
///
/// # Errors
/// As in [`check`]; 500 when the answer is not what was agreed on.
pub async fn ask<T: DeserializeOwned>(state: &ApiState, access: &Access, action: TicketAction) -> Result<T, Problem> {
    let response = state.relay().open(state.store(), access, action).await?;
    if response.content_length().is_some_and(|length| length > ANSWER_MAX_BYTES) {
        return Err(Problem::internal_text("a worker's answer is too large"));
    }
    let bytes = response.bytes().await.map_err(|error| {
        tracing::warn!(error = %error.without_url(), "a worker's answer broke off");
        Problem::unavailable("no_worker", "The worker stopped answering. Try again in a minute.")
    })?;
    serde_json::from_slice(&bytes).map_err(|e| Problem::internal(&e))
}
