//! The secret that starts one task from outside. Only its hash is stored.

pub mod create;
pub mod delete;
pub mod show;

use crate::state::ApiState;
use axum::http::HeaderMap;
use holdfast_domain::ids::BackupTaskId;

/// Where a task's webhook is called.
fn url(state: &ApiState, headers: &HeaderMap, id: BackupTaskId) -> String {
    format!("{}/webhooks/backup-tasks/{id}/run", state.origin().base(headers))
}
