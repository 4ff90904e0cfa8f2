//! `GET /api/backup-tasks/{id}/webhook`

use super::url;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::backup_tasks::find;
use crate::state::ApiState;
use crate::views::webhook::WebhookView;
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::ids::BackupTaskId;

/// Whether a secret starts the task from outside, and when it last did.
#[utoipa::path(get, path = "/api/backup-tasks/{id}/webhook", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<WebhookView>)))]
pub async fn show_webhook(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupTaskId>,
    headers: HeaderMap,
) -> Result<Json<Data<WebhookView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    find(&tx, id).await?;
    let row = tx.task_webhooks().find(id).await?;
    Ok(data(WebhookView {
        backup_task_id: id.0,
        is_set: row.is_some(),
        url: url(&state, &headers, id),
        created_at: row.as_ref().map(|row| time::utc(row.created_at)),
        last_used_at: row.and_then(|row| time::utc_or_null(row.last_used_at)),
        secret: None,
    }))
}
