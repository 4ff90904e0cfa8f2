//! The form of a check's answer: `{"ok":bool,"steps":[{"name","ok","message"}]}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use holdfast_domain::check::CheckStep;
use serde_json::json;

/// A step that went well.
pub fn passed(name: &str, message: impl Into<String>) -> CheckStep {
    CheckStep { name: name.to_owned(), ok: true, message: message.into() }
}

/// A step that did not; none follows it.
pub fn failed(name: &str, message: impl Into<String>) -> CheckStep {
    CheckStep { name: name.to_owned(), ok: false, message: message.into() }
}

/// All went well only if every step did, and there was one.
pub fn answer(steps: &[CheckStep]) -> Response {
    let ok = !steps.is_empty() && steps.iter().all(|step| step.ok);
    Json(json!({ "ok": ok, "steps": steps })).into_response()
}
