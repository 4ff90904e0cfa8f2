//! `POST /api/backup-tasks/{id}/webhook`

use super::url;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::webhook::WebhookView;
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use holdfast_domain::Ability;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::Changes;
use holdfast_vault::webhook::WebhookSecret;
use secrecy::ExposeSecret;
use serde_json::json;

/// Makes a secret that starts the task from outside, or a new one: the old one is good for nothing from then on. The
/// secret is shown this once. Needs `run-backup-tasks` too, because that is what the secret can do.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/webhook", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 201, body = Data<WebhookView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_webhook(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupTasks>,
    Id(id): Id<BackupTaskId>,
    headers: HeaderMap,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<WebhookView>>), Problem> {
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    if !auth.access.allows(Ability::RunBackupTasks) {
        return Err(Problem::missing_ability(Ability::RunBackupTasks));
    }
    fields.refuse_unknown();
    fields.finish()?;
    let secret = state.with_rng(WebhookSecret::generate);
    let before = tx.task_webhooks().find(id).await?.map(|row| row.secret_hash);
    let hash = secret.hash().to_vec();
    let changes = Changes::default().secret("webhook_secret", before.as_deref(), Some(&hash));
    tx.task_webhooks().set(id, hash, now).await?;
    tx.audit_events()
        .record_change("backup_task.set_webhook", &format!("backup_tasks:{id}"), changes, json!({}))
        .await?;
    tx.commit().await?;
    let view = WebhookView {
        backup_task_id: id.0,
        is_set: true,
        url: url(&state, &headers, id),
        created_at: Some(time::utc(now)),
        last_used_at: None,
        secret: Some(secret.to_wire().expose_secret().to_owned()),
    };
    Ok((StatusCode::CREATED, data(view)))
}
