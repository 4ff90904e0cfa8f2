//! `POST /api/backup-tasks`

use super::body::{Body, Sent};
use super::limits::LimitsBody;
use super::plan;
use super::references::References;
use super::{
    Attached, SECRETS, alias_taken, attach, check_ping_url, expect, may_attach_scripts, retention_body, scripts_body,
    timing, view,
};
use crate::audit::secrets;
use crate::extract::{Authorized, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::views::backup_task::BackupTaskView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::retention::Rule;
use holdfast_store::Changes;
use holdfast_store::repositories::backup_tasks::NewBackupTask;
use holdfast_store::repositories::task_timing::TaskTiming;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// In the middle.
const USUAL_PRIORITY: i16 = 5;

/// Defines a backup: the page's flat form, `source{…}`, or both.
#[utoipa::path(post, path = "/api/backup-tasks", tag = "backup-tasks",
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Data<BackupTaskView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateBackupTasks>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<Data<BackupTaskView>>), Problem> {
    let now = state.now();
    let body = Body::read(&mut fields);
    let sent = Sent::of(&fields);
    let source = plan::source(&body, &sent, None, &mut fields);
    let encryption = plan::encryption(&body, &sent, None, &mut fields);
    let timing = timing::plan(&body, &sent, None, now);
    timing::check(&timing, &mut fields, now, state.min_interval());
    let rule = retention_body::rule(&body, Rule::default(), &mut fields);
    check_ping_url(&state, &body, &mut fields);
    fields.finish()?;
    may_attach_scripts(&auth.access, &body)?;

    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::BackupTasks).await?;
    let destination_ids = body.destination_ids().unwrap_or_default();
    References::of(&body, Some(&destination_ids)).check(&tx).await?;
    let priority = body.priority(USUAL_PRIORITY);
    let (tags, streams) = (body.tags.clone(), body.notification_streams.clone());
    let scripts = body.scripts.as_deref().map(scripts_body::stored);
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let source_password = body.source.as_ref().and_then(|source| source.password.as_deref());
    let isolated_password = body.isolated_password.as_deref().filter(|_| body.isolated_username.is_some());
    let new = NewBackupTask {
        user_id: auth.user_id,
        remote_server_id: RemoteServerId(body.remote_server_id.unwrap_or_default()),
        seal_id: seal.seal_id(),
        sealed_encryption_password: seal
            .seal(SealedColumn::TaskEncryptionPassword, body.encryption_password.as_deref())
            .await?,
        sealed_isolated_password: seal.seal(SealedColumn::TaskIsolatedPassword, isolated_password).await?,
        sealed_source_password: seal.seal(SealedColumn::TaskSourcePassword, source_password).await?,
        sealed_ping_url: seal.seal(SealedColumn::TaskPingUrl, body.ping_url.as_deref().map(str::trim)).await?,
        label: body.label.unwrap_or_default(),
        description: body.description,
        kind: body.kind.unwrap_or_default(),
        source: serde_json::to_value(source).map_err(|e| Problem::internal(&e))?,
        timing,
        rule,
        appended_filename: body.appended_file_name,
        store_path: body.store_path,
        encryption_mode: encryption.mode.as_str().to_owned(),
        encryption_recipients: encryption.recipients,
        isolated_username: body.isolated_username,
        max_duration_secs: LimitsBody::max_duration(body.limits.as_ref(), None),
        grace_secs: body.grace_secs.and_then(|secs| i32::try_from(secs).ok()),
        alias: body.alias,
        priority,
        on_overlap: body.on_overlap.unwrap_or_else(|| "refuse".to_owned()),
    };
    let mut row = tx.backup_tasks().create(new, &destination_ids, now).await.map_err(alias_taken)?;
    expect(&state, &tx, &mut row).await?;
    let attached = Attached { tags: tags.as_deref(), streams: streams.as_deref(), scripts: scripts.as_deref() };
    attach(&tx, &row, attached).await?;
    let subject = format!("backup_tasks:{}", row.id);
    limits::interval(&state, &tx, &TaskTiming::of(&row)).await?;
    let view = view(&tx, row.clone(), auth.user_id, now).await?;
    let changes = secrets(Changes::made(&view), None, Some(&row), SECRETS);
    tx.audit_events().record_change("backup_task.create", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}
