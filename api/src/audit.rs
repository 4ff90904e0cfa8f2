//! Refusals in the audit log. What a handler does it records itself, in the transaction of the act; a refusal has none.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use holdfast_store::{Access, Changes};
use serde_json::json;

/// The route that was asked for, as the subject of a refusal.
pub(crate) fn route(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    format!("{} {path}", request.method())
}

/// Notes that somebody was refused what they may not do; at most a few a minute of one person. A failure of the database
/// is only logged: the refusal stands without it.
pub(crate) async fn note_refusal(state: &ApiState, access: &Access, subject: String, problem: &Problem) {
    let Some(user_id) = access.actor().user_id().filter(|_| problem.status() == StatusCode::FORBIDDEN) else { return };
    if state.refusals().take(user_id, state.now()).is_err() {
        return;
    }
    let details = json!({"code": problem.code(), "message": problem.message()});
    if let Err(error) = state.store().record_audit_event(access, "authorisation.refused", &subject, details).await {
        tracing::warn!(?error, "a refusal was not recorded");
    }
}

/// The sealed columns of a row by the names of their fields.
pub(crate) type SealedFields<R> = [(&'static str, fn(&R) -> Option<&[u8]>)];

/// Tells of each secret of a row whether it was set, changed or removed.
pub(crate) fn secrets<R>(
    mut changes: Changes,
    before: Option<&R>,
    after: Option<&R>,
    fields: &SealedFields<R>,
) -> Changes {
    for (name, sealed) in fields {
        changes = changes.secret(name, before.and_then(sealed), after.and_then(sealed));
    }
    changes
}
