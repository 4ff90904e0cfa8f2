//! What stays of a task's backups, what goes, and why.

use super::time;
use chrono::{DateTime, Utc};
use holdfast_domain::retention::{Rule, Verdict};
use holdfast_store::repositories::recycle_bin::BinnedRow;
use holdfast_store::repositories::retention::{TaskCopies, TaskCopy};
use holdfast_store::rows;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A task's rule.
#[derive(Serialize, ToSchema)]
pub struct RetentionView {
    /// So many of the newest stay; 0 = no limit. The same as `max_backups`.
    keep_last: u32,
    /// Older ones go; null = no limit.
    #[schema(required)]
    max_age_secs: Option<i64>,
    /// So many of the newest stay whatever the other limits say.
    floor: u32,
    /// How long what goes lies in the recycle bin; 0 = it is deleted at once.
    recycle_secs: i64,
}

impl From<&Rule> for RetentionView {
    fn from(rule: &Rule) -> Self {
        Self {
            keep_last: rule.keep_last,
            max_age_secs: rule.max_age_secs,
            floor: rule.floor,
            recycle_secs: rule.recycle_secs,
        }
    }
}

/// What a rule would do now.
#[derive(Serialize, ToSchema)]
pub struct RetentionPreview {
    /// The rule.
    rule: RetentionView,
    /// Committed copies, destination by destination, the newest first.
    copies: Vec<PlannedView>,
    /// Copies in the recycle bin.
    recycle_bin: Vec<WaitingView>,
    /// Copies that are being deleted, and why they are still there.
    deleting: Vec<DoomedView>,
}

#[derive(Serialize, ToSchema)]
struct PlannedView {
    copy_id: i64,
    backup_id: i64,
    backup_destination_id: i64,
    created_at: String,
    /// `keep`, `recycle`, `delete`.
    verdict: &'static str,
    /// Of one that stays, all that hold: `held`, `uploaded`, `being_read`, `newest_verified`, `newest_without_warnings`,
    /// `no_newer_verified`, `floor`, `within_limits`; of one that goes: `too_many`, `too_old`.
    reasons: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct WaitingView {
    copy_id: i64,
    backup_id: i64,
    backup_destination_id: i64,
    #[schema(required)]
    expires_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct DoomedView {
    copy_id: i64,
    backup_id: i64,
    backup_destination_id: i64,
    #[schema(required)]
    error_code: Option<String>,
    #[schema(required)]
    error_message: Option<String>,
}

impl RetentionPreview {
    /// The view of what `rule` makes of `copies`.
    #[must_use]
    pub fn of(rule: &Rule, copies: &TaskCopies, doomed: Vec<rows::backup_copies::Model>) -> Self {
        let made: BTreeMap<i64, DateTime<Utc>> =
            copies.copies.iter().map(|found| (found.copy.copy_id.0, found.copy.created_at)).collect();
        let planned = copies.plan(rule).into_iter().map(|planned| {
            let (verdict, reasons) = worded(&planned.decision.verdict);
            PlannedView {
                copy_id: planned.decision.copy_id.0,
                backup_id: planned.decision.backup_id.0,
                backup_destination_id: planned.destination_id.0,
                created_at: made.get(&planned.decision.copy_id.0).map(|at| time::utc(*at)).unwrap_or_default(),
                verdict,
                reasons,
            }
        });
        let binned = copies.copies.iter().filter(|found| found.is_binned).map(waiting);
        let doomed = doomed.into_iter().map(|row| DoomedView {
            copy_id: row.id,
            backup_id: row.backup_id,
            backup_destination_id: row.backup_destination_id,
            error_code: row.error_code,
            error_message: row.error_message,
        });
        Self { rule: rule.into(), copies: planned.collect(), recycle_bin: binned.collect(), deleting: doomed.collect() }
    }
}

fn waiting(found: &TaskCopy) -> WaitingView {
    WaitingView {
        copy_id: found.copy.copy_id.0,
        backup_id: found.copy.backup_id.0,
        backup_destination_id: found.destination_id.0,
        expires_at: time::utc_or_null(found.expires_at),
    }
}

fn worded(verdict: &Verdict) -> (&'static str, Vec<String>) {
    match verdict {
        Verdict::Keep(reasons) => ("keep", reasons.iter().map(|reason| reason.as_str().to_owned()).collect()),
        Verdict::Recycle(reason) => ("recycle", vec![reason.as_str().to_owned()]),
        Verdict::Delete(reason) => ("delete", vec![reason.as_str().to_owned()]),
    }
}

/// What a prune took, or would take.
#[derive(Serialize, ToSchema)]
pub struct Pruned {
    /// Copies that are deleted.
    pub deleted_count: usize,
    /// Copies that went into the recycle bin.
    pub recycled_count: usize,
    /// Copies that stay.
    pub kept_count: usize,
    /// Nothing was changed.
    pub dry_run: bool,
}

/// What emptying the recycle bin took.
#[derive(Serialize, ToSchema)]
pub struct Emptied {
    /// Copies that are deleted.
    pub deleted_count: usize,
    /// Copies that stay in it.
    pub kept_count: usize,
}

/// A copy in the recycle bin.
#[derive(Serialize, ToSchema)]
pub struct BinnedView {
    /// Of the copy.
    id: i64,
    backup_id: i64,
    backup_destination_id: i64,
    #[schema(required)]
    backup_task_id: Option<i64>,
    /// What the task was called when the backup was made.
    #[schema(required)]
    task_label: Option<String>,
    #[schema(required)]
    stored_size: Option<i64>,
    /// When the backup was made.
    #[schema(required)]
    created_at: Option<String>,
    #[schema(required)]
    recycled_at: Option<String>,
    /// When it goes for good.
    #[schema(required)]
    expires_at: Option<String>,
    /// `person` or `rule`: who put it there.
    recycled_by: &'static str,
}

impl BinnedView {
    /// The view of a row.
    #[must_use]
    pub fn of((copy, backup): BinnedRow) -> Self {
        let backup = backup.as_ref();
        Self {
            id: copy.id,
            backup_id: copy.backup_id,
            backup_destination_id: copy.backup_destination_id,
            backup_task_id: backup.map(|row| row.backup_task_id),
            task_label: backup.map(|row| row.task_label.clone()),
            stored_size: backup.map(|row| row.stored_size),
            created_at: backup.map(|row| time::utc(row.created_at)),
            recycled_at: time::utc_or_null(copy.recycled_at),
            expires_at: time::utc_or_null(copy.expires_at),
            recycled_by: if copy.is_asked_for { "person" } else { "rule" },
        }
    }
}
