//! Deleting what tasks use. Never loses a backup: tasks end, their backups stay listed and restorable.

use crate::problem::Problem;
use crate::state::ApiState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use holdfast_domain::Ability;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::{Access, TeamTx, rows};
use serde_json::json;

/// Whether `?cascade=1` was given.
pub struct Cascade(bool);

impl FromRequestParts<ApiState> for Cascade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "cascade" && value == "1")))
    }
}

impl Cascade {
    /// Whether a thing that `tasks` tasks use may be deleted.
    ///
    /// # Errors
    /// 409 with the count where it is in use and no cascade was asked for; 403 without the ability for it.
    pub fn permits(&self, access: &Access, thing: &str, tasks: usize) -> Result<(), Problem> {
        if tasks == 0 {
            return Ok(());
        }
        if !self.0 {
            let message = format!(
                "The {thing} is used by {tasks} backup task(s). Delete them first, or repeat with ?cascade=1: their \
                 backups stay listed and restorable."
            );
            return Err(Problem::in_use(message, json!({"backup_tasks": tasks})));
        }
        may_cascade(access)
    }

    /// Whether a thing that `tasks` tasks use may be deleted and taken off them; the tasks stay.
    ///
    /// # Errors
    /// As [`Cascade::permits`].
    pub fn permits_taking_off(&self, access: &Access, thing: &str, tasks: usize) -> Result<(), Problem> {
        if tasks == 0 {
            return Ok(());
        }
        if self.0 {
            return may_cascade(access);
        }
        let message = format!(
            "The {thing} is used by {tasks} backup task(s). Take it off them first, or repeat with ?cascade=1: they then \
             run without it."
        );
        Err(Problem::in_use(message, json!({"backup_tasks": tasks})))
    }
}

fn may_cascade(access: &Access) -> Result<(), Problem> {
    if access.allows(Ability::CascadeDelete) { Ok(()) } else { Err(Problem::missing_ability(Ability::CascadeDelete)) }
}

/// Ends tasks: no more schedules, unfinished runs are asked to stop.
///
/// # Errors
/// The database failed.
pub async fn delete_tasks(
    tx: &TeamTx,
    tasks: Vec<rows::backup_tasks::Model>,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    for task in tasks {
        delete_task(tx, task, now).await?;
    }
    Ok(())
}

/// Ends one task.
///
/// # Errors
/// The database failed.
pub async fn delete_task(tx: &TeamTx, task: rows::backup_tasks::Model, now: DateTime<Utc>) -> Result<(), Problem> {
    let id = BackupTaskId(task.id);
    for run in tx.backup_runs().unfinished_of(id).await? {
        tx.backup_runs().request_cancel(holdfast_domain::ids::BackupRunId(run.id), now).await?;
    }
    let label = task.label.clone();
    tx.backup_tasks().delete(task, now).await?;
    tx.audit_events().record("backup_task.delete", &format!("backup_tasks:{id}"), json!({"label": label})).await?;
    Ok(())
}
