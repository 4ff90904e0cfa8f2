//! The copies of a task as its rule sees them, and what becomes of them. Facts, plan and marks are one transaction under
//! one lock, so that two prunes at once come to the same end. Nothing here may mark a copy that the plan did not name,
//! or that belongs to another task: everything is found by record.

mod marks;

use super::handle;
use crate::StoreError;
use crate::rows::backup_tasks;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupCopyId, BackupDestinationId, BackupId, BackupTaskId};
use holdfast_domain::retention::{self, Binned, Copy, Decision, Quality, Rule, Verdict};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use std::collections::BTreeMap;

handle! {
    /// What stays of the team's backups and what goes.
    Retention, retention
}

/// A copy that is there: committed, or in the recycle bin.
#[derive(Clone, Debug)]
pub struct TaskCopy {
    /// What the plan looks at.
    pub copy: Copy,
    /// Where it lies.
    pub destination_id: BackupDestinationId,
    /// In the recycle bin.
    pub is_binned: bool,
    /// A person put it there.
    pub is_asked_for: bool,
    /// When its time in the bin is over.
    pub expires_at: Option<DateTime<Utc>>,
}

/// All copies of a task that are there, and the database's clock: a worker's own may be wrong.
#[derive(Clone, Debug)]
pub struct TaskCopies {
    /// Newest backups first.
    pub copies: Vec<TaskCopy>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What lies at one destination.
#[derive(Default)]
struct Place<'a> {
    committed: Vec<Copy>,
    binned: Vec<&'a TaskCopy>,
}

/// A decision, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The destination.
    pub destination_id: BackupDestinationId,
    /// What becomes of the copy there.
    pub decision: Decision,
}

/// What was marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Every decision, those that keep too.
    pub planned: Vec<Planned>,
    /// Copies that went into the bin.
    pub recycled: usize,
    /// Copies whose objects are to be deleted.
    pub deleted: usize,
}

#[derive(FromQueryResult)]
struct CopyRow {
    copy_id: i64,
    backup_id: i64,
    backup_destination_id: i64,
    is_binned: bool,
    is_asked_for: bool,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    is_sound: bool,
    is_doubtful: bool,
    is_flawed: bool,
    held: bool,
    is_uploaded: bool,
    is_being_read: bool,
}

/// A noted error is what a restore or a verification saw of the copy after it had been verified.
const COPIES: &str = "
SELECT c.id AS copy_id, c.backup_id, c.backup_destination_id, c.state = 'recycled' AS is_binned, c.is_asked_for,
       c.expires_at, b.created_at, coalesce(c.verified_level >= 1, false) AND c.error_code IS NULL AS is_sound,
       b.is_doubtful, b.has_warnings OR r.status <> 'succeeded' AS is_flawed, b.held, b.origin = 'upload' AS is_uploaded,
       EXISTS (SELECT 1 FROM restores x WHERE x.backup_id = b.id AND x.status IN ('queued', 'running', 'verifying'))
           OR EXISTS (SELECT 1 FROM backup_copies m WHERE m.backup_id = b.id AND m.state IN ('queued', 'running'))
           AS is_being_read
FROM backup_copies c
JOIN backups b ON b.id = c.backup_id
JOIN backup_runs r ON r.id = b.backup_run_id
WHERE b.backup_task_id = $1 AND b.team_id = $2 AND c.team_id = $2 AND c.state IN ('committed', 'recycled')
ORDER BY c.backup_id DESC, c.id";

impl From<CopyRow> for TaskCopy {
    fn from(row: CopyRow) -> Self {
        let quality = match (row.is_doubtful, row.is_flawed) {
            (true, _) => Quality::Doubtful,
            (false, true) => Quality::Flawed,
            (false, false) => Quality::Clean,
        };
        let copy = Copy {
            copy_id: BackupCopyId(row.copy_id),
            backup_id: BackupId(row.backup_id),
            created_at: row.created_at,
            is_sound: row.is_sound,
            quality,
            is_held: row.held,
            is_uploaded: row.is_uploaded,
            is_being_read: row.is_being_read,
        };
        Self {
            copy,
            destination_id: BackupDestinationId(row.backup_destination_id),
            is_binned: row.is_binned,
            is_asked_for: row.is_asked_for,
            expires_at: row.expires_at,
        }
    }
}

/// The rule that a task's row holds. Numbers that a row cannot hold (the schema refuses them) are no limit.
#[must_use]
pub fn rule_of(task: &backup_tasks::Model) -> Rule {
    Rule {
        keep_last: u32::try_from(task.max_backups).unwrap_or(0),
        max_age_secs: task.max_age_secs,
        floor: u32::try_from(task.keep_floor).unwrap_or(0),
        recycle_secs: task.recycle_secs,
    }
}

/// Writes a rule into a task's row; numbers that no column holds are cut.
pub fn set_rule(task: &mut backup_tasks::Model, rule: &Rule) {
    task.max_backups = i32::try_from(rule.keep_last).unwrap_or(i32::MAX);
    task.max_age_secs = rule.max_age_secs;
    task.keep_floor = i32::try_from(rule.floor).unwrap_or(i32::MAX);
    task.recycle_secs = rule.recycle_secs;
}

impl TaskCopies {
    fn by_destination(&self) -> BTreeMap<BackupDestinationId, Place<'_>> {
        let mut places: BTreeMap<BackupDestinationId, Place<'_>> = BTreeMap::new();
        for found in &self.copies {
            let place = places.entry(found.destination_id).or_default();
            if found.is_binned {
                place.binned.push(found);
            } else {
                place.committed.push(found.copy.clone());
            }
        }
        places
    }

    /// Those outside the bin.
    #[must_use]
    pub fn committed(&self) -> Vec<Copy> {
        self.copies.iter().filter(|found| !found.is_binned).map(|found| found.copy.clone()).collect()
    }

    /// What the rule makes of those outside the bin, destination by destination.
    #[must_use]
    pub fn plan(&self, rule: &Rule) -> Vec<Planned> {
        let places = self.by_destination().into_iter();
        let planned = places.flat_map(|(destination_id, place)| {
            let decisions = retention::plan(&place.committed, rule, self.now).into_iter();
            decisions.map(move |decision| Planned { destination_id, decision })
        });
        planned.collect()
    }

    /// What becomes of those in the bin that `is_meant`.
    #[must_use]
    pub fn plan_bin(&self, is_meant: impl Fn(&TaskCopy) -> bool) -> Vec<Planned> {
        let mut planned = Vec::new();
        for (destination_id, place) in self.by_destination() {
            let meant = place.binned.into_iter().filter(|found| is_meant(found));
            let meant: Vec<Binned> =
                meant.map(|found| Binned { copy: found.copy.clone(), is_asked_for: found.is_asked_for }).collect();
            let decisions = retention::plan_bin(&place.committed, &meant).into_iter();
            planned.extend(decisions.map(|decision| Planned { destination_id, decision }));
        }
        planned
    }
}

impl Retention<'_> {
    /// Waits until nobody else decides about the task's copies, and keeps others from it until the transaction ends.
    /// Whoever begins to read one of its backups (a restore, a copy job) is waited for, or waits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lock(&self, task: BackupTaskId) -> Result<(), StoreError> {
        let one = "INSERT INTO prunes (backup_task_id, team_id) SELECT id, team_id FROM backup_tasks WHERE id = $1 AND team_id = $2
                   ON CONFLICT (backup_task_id) DO UPDATE SET team_id = excluded.team_id";
        self.0.change(one, [task.0.into(), self.0.team_id().0.into()]).await?;
        // FOR UPDATE, because the foreign key of a new restore takes only the weakest lock.
        let all = "SELECT id FROM backups WHERE backup_task_id = $1 AND team_id = $2 AND deleted_at IS NULL
                   ORDER BY id FOR UPDATE";
        self.0.conn().query_all_raw(self.statement(all, task)).await?;
        Ok(())
    }

    /// The task's copies that are there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn copies(&self, task: BackupTaskId) -> Result<TaskCopies, StoreError> {
        let rows = CopyRow::find_by_statement(self.statement(COPIES, task)).all(self.0.conn()).await?;
        let now = Statement::from_string(DbBackend::Postgres, "SELECT now() AS now");
        let now = self.0.conn().query_one_raw(now).await?.map(|row| row.try_get("", "now")).transpose()?;
        Ok(TaskCopies { copies: rows.into_iter().map(Into::into).collect(), now: now.unwrap_or_default() })
    }

    /// Applies `rule` to a task's copies: what goes is marked and not readable any more. Its objects are deleted by a
    /// worker, for which the caller asks with [`super::prunes::Prunes::request`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn apply(&self, task: BackupTaskId, rule: &Rule) -> Result<Applied, StoreError> {
        self.lock(task).await?;
        let planned = self.copies(task).await?.plan(rule);
        self.mark(planned, rule.recycle_secs).await
    }

    /// Marks the copies of the bin that are meant and may go. The time of those that must stay is prolonged.
    ///
    /// # Errors
    /// The database failed.
    pub async fn apply_bin(
        &self,
        task: BackupTaskId,
        is_meant: impl Fn(&TaskCopy, DateTime<Utc>) -> bool,
    ) -> Result<Applied, StoreError> {
        self.lock(task).await?;
        let copies = self.copies(task).await?;
        let planned = copies.plan_bin(|found| is_meant(found, copies.now));
        let staying = planned.iter().filter(|p| p.decision.verdict.keeps()).map(|p| p.decision.copy_id.0).collect();
        self.prolong(staying).await?;
        self.mark(planned, 0).await
    }

    /// Tasks, deleted ones too, of which a copy is left.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks_to_empty(&self) -> Result<Vec<BackupTaskId>, StoreError> {
        let sql = "SELECT DISTINCT b.backup_task_id AS id FROM backups b JOIN backup_copies c ON c.backup_id = b.id
                   WHERE b.team_id = $1 AND c.state IN ('committed', 'recycled') ORDER BY 1";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [self.0.team_id().0.into()]);
        let rows = self.0.conn().query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(BackupTaskId(row.try_get("", "id")?))).collect()
    }

    async fn mark(&self, planned: Vec<Planned>, recycle_secs: i64) -> Result<Applied, StoreError> {
        let (mut recycled, mut deleted) = (Vec::new(), Vec::new());
        for Planned { decision, .. } in &planned {
            match decision.verdict {
                Verdict::Keep(_) => {}
                Verdict::Recycle(_) => recycled.push(decision.clone()),
                Verdict::Delete(_) => deleted.push(decision.clone()),
            }
        }
        self.recycle(&recycled, recycle_secs, false).await?;
        self.delete(&deleted).await?;
        Ok(Applied { planned, recycled: recycled.len(), deleted: deleted.len() })
    }

    fn statement(&self, sql: &'static str, task: BackupTaskId) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, sql, [task.0.into(), self.0.team_id().0.into()])
    }
}
