//! The webhook that starts a task.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether a task can be started from outside, and how. The secret itself is shown once, by the call that makes it.
#[derive(Serialize, ToSchema)]
pub struct WebhookView {
    /// Which task.
    pub backup_task_id: i64,
    /// Whether there is a secret.
    pub is_set: bool,
    /// Where to POST, with the secret in `Authorization: Bearer …` or in `X-Webhook-Secret`.
    pub url: String,
    /// When the secret was made.
    #[schema(required)]
    pub created_at: Option<String>,
    /// When it last started a run.
    #[schema(required)]
    pub last_used_at: Option<String>,
    /// Only in the answer of the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}
