//! `POST /api/backup-tasks/{id}/duplicate`
//!
//! Secrets do not travel: they are bound to their row, and only a worker can open them. Neither does the webhook's
//! secret, which would start the copy too, nor the alias, which is one task's.

use super::{Attached, SECRETS, attach, expect, view};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::{Fields, Presence};
use crate::views::backup_task::BackupTaskView;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::{BackupTaskId, RemoteServerId, UserId};
use holdfast_domain::{Ability, Limit};
use holdfast_store::repositories::backup_tasks::NewBackupTask;
use holdfast_store::repositories::retention::rule_of;
use holdfast_store::repositories::task_timing::TaskTiming;
use holdfast_store::{Changes, rows};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

const LABEL_MAX_CHARS: usize = 255;
const SUFFIX: &str = " (Copy)";

/// What the copy is called.
#[derive(Default, Validate, ToSchema)]
#[schema(as = BackupTaskDuplicate)]
pub(crate) struct Body {
    /// Without it, the task's with ` (Copy)` behind.
    #[validate(length(max = 255))]
    label: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self { label: fields.string("label", Presence::Optional) };
        fields.check(&body);
        fields.refuse_unknown();
        body
    }
}

/// The copy.
#[derive(Serialize, ToSchema)]
pub struct Duplicated {
    data: BackupTaskView,
    /// Fields of the task that hold a secret: they did not travel and have to be entered again. The copy is paused while
    /// there are any.
    secrets_to_enter: Vec<&'static str>,
}

/// Makes a task like this one: with its source, schedule, rule, destinations, tags, notification streams and scripts, without its
/// secrets, alias, webhook, runs and backups.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/duplicate", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 201, body = Duplicated), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn duplicate_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateBackupTasks>,
    Id(id): Id<BackupTaskId>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Duplicated>), Problem> {
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupTaskId, _>(tx.backup_tasks().find(id).await?)?;
    if !auth.access.allows(Ability::ViewBackupTasks) {
        return Err(Problem::missing_ability(Ability::ViewBackupTasks));
    }
    let label = Body::read(&mut fields).label.unwrap_or_else(|| copy_label(&row.label));
    fields.finish()?;
    limits::take(&state, &tx, Limit::BackupTasks).await?;
    let secrets_to_enter: Vec<_> =
        SECRETS.iter().filter(|(_, sealed)| sealed(&row).is_some()).map(|(name, _)| *name).collect();
    let around = tx.task_surroundings().of(&[row.id], auth.user_id).await?.of.remove(&row.id).unwrap_or_default();
    let seal_id = RowSeal::fresh(&state, auth.access.team_id()).seal_id();
    let mut copy =
        tx.backup_tasks().create(like(row, label, auth.user_id, seal_id), &around.destination_ids, now).await?;
    if !secrets_to_enter.is_empty() {
        copy.paused_at = Some(now);
        copy = tx.backup_tasks().save(copy).await?;
    }
    expect(&state, &tx, &mut copy).await?;
    limits::interval(&state, &tx, &TaskTiming::of(&copy)).await?;
    let tags: Vec<i64> = around.tags.iter().map(|tag| tag.id).collect();
    let scripts: Vec<_> = around.scripts.iter().map(|(_, script)| script.clone()).collect();
    let attached = Attached { tags: Some(&tags), streams: Some(&around.stream_ids), scripts: Some(&scripts) };
    attach(&tx, &copy, attached).await?;
    let view = view(&tx, copy, auth.user_id, now).await?;
    let subject = format!("backup_tasks:{}", view.id());
    let details = json!({"of": id.0});
    tx.audit_events().record_change("backup_task.duplicate", &subject, Changes::made(&view), details).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Duplicated { data: view, secrets_to_enter })))
}

/// A task like `row`, with no secret.
fn like(row: rows::backup_tasks::Model, label: String, user_id: UserId, seal_id: Uuid) -> NewBackupTask {
    NewBackupTask {
        timing: TaskTiming::of(&row),
        user_id,
        remote_server_id: RemoteServerId(row.remote_server_id),
        rule: rule_of(&row),
        label,
        description: row.description,
        kind: row.r#type,
        source: row.source,
        appended_filename: row.appended_filename,
        store_path: row.store_path,
        encryption_mode: row.encryption_mode,
        encryption_recipients: row.encryption_recipients,
        seal_id,
        sealed_encryption_password: None,
        isolated_username: row.isolated_username,
        sealed_isolated_password: None,
        sealed_source_password: None,
        max_duration_secs: row.max_duration_secs,
        alias: None,
        grace_secs: row.grace_secs,
        sealed_ping_url: None,
        priority: row.priority,
        on_overlap: row.on_overlap,
    }
}

fn copy_label(label: &str) -> String {
    let kept: String = label.chars().take(LABEL_MAX_CHARS - SUFFIX.chars().count()).collect();
    format!("{}{SUFFIX}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_of_a_copy_is_not_longer_than_a_label() {
        assert_eq!(copy_label("web"), "web (Copy)");
        assert_eq!(copy_label(&"é".repeat(255)).chars().count(), LABEL_MAX_CHARS);
    }
}
