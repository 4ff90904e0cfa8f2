//! What is backed up, when and for how long.

pub mod body;
pub mod create;
pub mod delete;
pub mod latest_log;
pub mod limits;
pub mod list;
pub mod plan;
pub mod prune;
pub mod references;
pub mod retention_body;
pub mod retention_preview;
pub mod run;
pub mod show;
pub mod source_body;
pub mod status;
pub mod update;

use crate::audit::SealedFields;
use crate::extract::id::found;
use crate::problem::Problem;
use crate::views::backup_task::{BackupTaskView, TaskContext};
use crate::views::time;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use holdfast_domain::ids::{BackupTaskId, UserId};
use holdfast_store::{TeamTx, rows};

/// What is sealed in a row.
pub(super) const SECRETS: &SealedFields<rows::backup_tasks::Model> = &[
    ("encryption_password", |row| row.sealed_encryption_password.as_deref()),
    ("isolated_password", |row| row.sealed_isolated_password.as_deref()),
    ("source.password", |row| row.sealed_source_password.as_deref()),
];

/// The zone of the person who reads.
pub(super) async fn user_zone(tx: &TeamTx, user_id: UserId) -> Result<Tz, Problem> {
    Ok(tx.users().find(user_id).await?.map_or(Tz::UTC, |user| time::zone(&user.timezone)))
}

/// One task as the wire shows it, read within `tx`.
pub(super) async fn view(
    tx: &TeamTx,
    row: rows::backup_tasks::Model,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<BackupTaskView, Problem> {
    let id = row.id;
    let destination_ids = tx.backup_tasks().destinations_of(&[id]).await?.remove(&id).unwrap_or_default();
    let is_running = tx.backup_tasks().running_among(&[id]).await?.contains(&id);
    let user_zone = user_zone(tx, user_id).await?;
    Ok(BackupTaskView::of(row, TaskContext { destination_ids, is_running, user_zone, now }))
}

/// The task, or the 404.
pub(super) async fn find(tx: &TeamTx, id: BackupTaskId) -> Result<rows::backup_tasks::Model, Problem> {
    found::<BackupTaskId, _>(tx.backup_tasks().find(id).await?)
}
