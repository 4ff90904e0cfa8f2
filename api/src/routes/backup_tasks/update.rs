//! `PUT /api/backup-tasks/{id}`

use super::body::{Body, Sent};
use super::limits::LimitsBody;
use super::plan::{self, Encryption};
use super::references::References;
use super::{
    Attached, SECRETS, alias_taken, attach, check_ping_url, expect, may_attach_scripts, retention_body, scripts_body,
    timing, view,
};
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::Mode;
use crate::views::backup_task::BackupTaskView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::source::SourceSpec;
use holdfast_store::repositories::retention::{rule_of, set_rule};
use holdfast_store::repositories::task_timing::{TaskTiming, reschedule};
use holdfast_store::{Changes, rows};
use holdfast_vault::SealedColumn;
use serde_json::json;
use std::time::Duration;

/// Changes what is sent; what is absent stays. A task may be changed while it runs: the run goes on as it began.
#[utoipa::path(put, path = "/api/backup-tasks/{id}", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<BackupTaskView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupTasks>,
    Id(id): Id<BackupTaskId>,
    PageBody(fields): PageBody,
) -> Result<Json<Data<BackupTaskView>>, Problem> {
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<BackupTaskId, _>(tx.backup_tasks().find_for_update(id).await?)?;
    let stored = row.clone();
    let old_view = view(&tx, row.clone(), auth.user_id, now).await?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    let sent = Sent::of(&fields);
    let source = plan::source(&body, &sent, Some(&row), &mut fields);
    let encryption = plan::encryption(&body, &sent, Some(&row), &mut fields);
    plan::refuse_strangers(&body, &sent, &row, source.as_ref(), &mut fields);
    let before = TaskTiming::of(&row);
    let timing = timing::plan(&body, &sent, Some(before.clone()), now);
    let is_other_timing = timing != before;
    // A schedule that the operator has forbidden since stays as it is until somebody changes it.
    let least = if is_other_timing { state.min_interval() } else { Duration::ZERO };
    timing::check(&timing, &mut fields, now, least);
    let rule = retention_body::rule(&body, rule_of(&row), &mut fields);
    check_ping_url(&state, &body, &mut fields);
    fields.finish()?;
    may_attach_scripts(&auth.access, &body)?;

    let destination_ids = body.destination_ids();
    References::of(&body, destination_ids.as_deref()).check(&tx).await?;
    if let Some(ids) = &destination_ids {
        tx.backup_tasks().set_destinations(id, ids).await?;
    }
    if is_other_timing {
        reschedule(&mut row, timing, now);
    }
    let (tags, streams) = (body.tags.as_deref(), body.notification_streams.as_deref());
    let scripts = body.scripts.as_deref().map(scripts_body::stored);
    attach(&tx, &row, Attached { tags, streams, scripts: scripts.as_deref() }).await?;
    set_rule(&mut row, &rule);
    let mut seal = RowSeal::new(&state, auth.access.team_id(), row.seal_id);
    seal_secrets(&mut row, &body, &sent, &encryption, &mut seal).await?;
    set_rest(&mut row, body, &sent, source, encryption)?;
    row.updated_at = now;
    let mut row = tx.backup_tasks().save(row).await.map_err(alias_taken)?;
    expect(&state, &tx, &mut row).await?;
    if is_other_timing {
        limits::interval(&state, &tx, &TaskTiming::of(&row)).await?;
    }
    let view = view(&tx, row.clone(), auth.user_id, now).await?;
    let changes = secrets(Changes::between(&old_view, &view), Some(&stored), Some(&row), SECRETS);
    tx.audit_events().record_change("backup_task.update", &format!("backup_tasks:{id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

async fn seal_secrets(
    row: &mut rows::backup_tasks::Model,
    body: &Body,
    sent: &Sent,
    encryption: &Encryption,
    seal: &mut RowSeal<'_>,
) -> Result<(), Problem> {
    if let Some(password) = body.encryption_password.as_deref() {
        row.sealed_encryption_password = seal.seal(SealedColumn::TaskEncryptionPassword, Some(password)).await?;
    } else if !encryption.keeps_password {
        row.sealed_encryption_password = None;
    }
    if sent.has("isolated_password") {
        let password = body.isolated_password.as_deref();
        row.sealed_isolated_password = seal.seal(SealedColumn::TaskIsolatedPassword, password).await?;
    }
    if sent.has("ping_url") {
        let url = body.ping_url.as_deref().map(str::trim);
        row.sealed_ping_url = seal.seal(SealedColumn::TaskPingUrl, url).await?;
    }
    if let Some(source) = &body.source {
        if let Some(password) = source.password.as_deref() {
            row.sealed_source_password = seal.seal(SealedColumn::TaskSourcePassword, Some(password)).await?;
        } else if source.clears_password {
            row.sealed_source_password = None;
        }
    }
    Ok(())
}

fn set_rest(
    row: &mut rows::backup_tasks::Model,
    body: Body,
    sent: &Sent,
    source: Option<SourceSpec>,
    encryption: Encryption,
) -> Result<(), Problem> {
    if let Some(source) = source {
        row.source = serde_json::to_value(source).map_err(|e| Problem::internal(&e))?;
    }
    row.priority = body.priority(row.priority);
    row.on_overlap = body.on_overlap.unwrap_or(std::mem::take(&mut row.on_overlap));
    row.remote_server_id = body.remote_server_id.unwrap_or(row.remote_server_id);
    if let Some(label) = body.label {
        row.label = label;
    }
    if let Some(kind) = body.kind {
        row.r#type = kind;
    }
    row.max_duration_secs = LimitsBody::max_duration(body.limits.as_ref(), row.max_duration_secs);
    let grace_secs = body.grace_secs.and_then(|secs| i32::try_from(secs).ok());
    row.grace_secs = sent.or_stored("grace_secs", grace_secs, row.grace_secs);
    row.description = sent.or_stored("description", body.description, row.description.take());
    row.appended_filename = sent.or_stored("appended_file_name", body.appended_file_name, row.appended_filename.take());
    row.alias = sent.or_stored("alias", body.alias, row.alias.take());
    row.store_path = sent.or_stored("store_path", body.store_path, row.store_path.take());
    row.isolated_username = sent.or_stored("isolated_username", body.isolated_username, row.isolated_username.take());
    if row.isolated_username.is_none() {
        row.sealed_isolated_password = None;
    }
    row.encryption_mode = encryption.mode.as_str().to_owned();
    row.encryption_recipients = encryption.recipients;
    Ok(())
}
