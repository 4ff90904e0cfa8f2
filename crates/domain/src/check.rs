//! What `check` of a server or destination answers: the steps in order, up to the first that failed.

use serde::{Deserialize, Serialize};

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// `connect`, `host_key`, `authenticate`, `tools`, `write`, `read_back`, `delete`.
    pub name: String,
    /// Whether it went well.
    pub ok: bool,
    /// One sentence: what was found, or what failed and what to do.
    pub message: String,
}

impl CheckStep {
    /// A step that went well.
    #[must_use]
    pub fn passed(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), ok: true, message: message.into() }
    }

    /// A step that failed; the failure's text names the step and what to do.
    #[must_use]
    pub fn failed(name: &str, failure: &crate::Failure) -> Self {
        Self { name: name.to_owned(), ok: false, message: failure.to_string() }
    }
}

/// Whether every step went well; a check without steps did not.
#[must_use]
pub fn is_ok(steps: &[CheckStep]) -> bool {
    !steps.is_empty() && steps.iter().all(|step| step.ok)
}
