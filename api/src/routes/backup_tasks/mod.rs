//! What is backed up, when and for how long.

pub mod body;
pub mod create;
pub mod delete;
pub mod duplicate;
pub mod latest_log;
pub mod limits;
pub mod list;
pub mod pause;
pub mod plan;
pub mod prune;
pub mod references;
pub mod resume;
pub mod retention_body;
pub mod retention_preview;
pub mod run;
pub mod schedule_preview;
pub mod schedule_preview_draft;
pub mod scripts_body;
pub mod show;
pub mod source_body;
pub mod start;
pub mod status;
pub mod timing;
pub mod upcoming;
pub mod update;
pub mod webhook;

use crate::audit::SealedFields;
use crate::extract::id::found;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::stream_rules::ValueProblem;
use crate::validation::Fields;
use crate::views::backup_task::{BackupTaskView, TaskContext};
use crate::views::time;
use body::Body;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use holdfast_domain::Ability;
use holdfast_domain::ids::{BackupTaskId, UserId};
use holdfast_domain::notification::StreamKind;
use holdfast_store::repositories::task_scripts::TaskScript;
use holdfast_store::{Access, StoreError, TeamTx, rows};

/// What is sealed in a row.
pub(super) const SECRETS: &SealedFields<rows::backup_tasks::Model> = &[
    ("encryption_password", |row| row.sealed_encryption_password.as_deref()),
    ("isolated_password", |row| row.sealed_isolated_password.as_deref()),
    ("source.password", |row| row.sealed_source_password.as_deref()),
    ("ping_url", |row| row.sealed_ping_url.as_deref()),
];

/// One task as the wire shows it, read within `tx`.
pub(super) async fn view(
    tx: &TeamTx,
    row: rows::backup_tasks::Model,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<BackupTaskView, Problem> {
    let mut views = views(tx, vec![row], user_id, now).await?;
    views.pop().ok_or_else(|| Problem::internal_text("one task has one view"))
}

/// Tasks as the wire shows them, in the same order; one query for a hundred as for one.
pub(super) async fn views(
    tx: &TeamTx,
    rows: Vec<rows::backup_tasks::Model>,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<Vec<BackupTaskView>, Problem> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut around = tx.task_surroundings().of(&ids, user_id).await?;
    let user_zone = around.reader_timezone.as_deref().map_or(Tz::UTC, time::zone);
    let view = |row: rows::backup_tasks::Model| {
        let surrounding = around.of.remove(&row.id).unwrap_or_default();
        BackupTaskView::of(row, TaskContext { surrounding, user_zone, now })
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Attaches what a body names; what it does not name stays.
pub(super) async fn attach(
    tx: &TeamTx,
    row: &rows::backup_tasks::Model,
    attached: Attached<'_>,
) -> Result<(), Problem> {
    let id = BackupTaskId(row.id);
    if let Some(ids) = attached.tags {
        tx.task_attachments().set_tags(id, ids).await?;
    }
    if let Some(ids) = attached.streams {
        tx.task_attachments().set_streams(id, ids).await?;
    }
    if let Some(scripts) = attached.scripts {
        tx.task_scripts().set(id, scripts).await?;
    }
    Ok(())
}

/// What is attached to a task; none stays as it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Attached<'a> {
    pub tags: Option<&'a [i64]>,
    pub streams: Option<&'a [i64]>,
    pub scripts: Option<&'a [TaskScript]>,
}

/// 403 for whoever would attach scripts or take them off without the ability for it: scripts run commands on servers.
fn may_attach_scripts(access: &Access, body: &Body) -> Result<(), Problem> {
    if body.scripts.is_none() || access.allows(Ability::ManageScripts) {
        return Ok(());
    }
    Err(Problem::missing_ability(Ability::ManageScripts))
}

/// Computes when the task's next success is expected, where that has changed.
pub(super) async fn expect(state: &ApiState, tx: &TeamTx, row: &mut rows::backup_tasks::Model) -> Result<(), Problem> {
    if row.is_expectation_due {
        row.next_success_expected_by = tx.expectations().renew(BackupTaskId(row.id), state.absence_grace()).await?;
        row.is_expectation_due = false;
    }
    Ok(())
}

/// What is wrong with a dead man's switch; the rule is the webhooks'.
fn check_ping_url(state: &ApiState, body: &Body, fields: &mut Fields) {
    let Some(url) = &body.ping_url else { return };
    if let Err(ValueProblem::Form(problem)) = state.stream_rules().value(StreamKind::Webhook, url) {
        fields.fail_invalid("ping_url", &problem);
    }
}

/// Another task of the team has the alias.
pub(super) fn alias_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Duplicate(_) => Problem::field("alias", "The alias has already been taken."),
        other => other.into(),
    }
}

/// The task, or the 404.
pub(super) async fn find(tx: &TeamTx, id: BackupTaskId) -> Result<rows::backup_tasks::Model, Problem> {
    found::<BackupTaskId, _>(tx.backup_tasks().find(id).await?)
}
