//! What is written on copies that go or come back. A copy is marked before any of its objects is touched, so that no row
//! calls readable what is not whole; a backup of which no copy is left is not listed any more.

use super::{Retention, TaskCopies};
use crate::StoreError;
use holdfast_domain::ids::{BackupCopyId, BackupId};
use holdfast_domain::retention::{Decision, GoReason, Verdict};

/// What must stay in the bin although its time is over is looked at again after this.
const BIN_AGAIN_SECS: f64 = 3600.0;

impl TaskCopies {
    /// Every copy of one backup, wherever it lies, as something that goes because a person said so.
    #[must_use]
    pub fn all_of(&self, backup: BackupId, is_binned_too: bool) -> Vec<Decision> {
        let of_it = self.copies.iter().filter(|found| found.copy.backup_id == backup);
        let wanted = of_it.filter(|found| is_binned_too || !found.is_binned);
        wanted.map(|found| going(found.copy.copy_id, backup)).collect()
    }

    /// Every copy that nobody reads, held or not: for an account that ends.
    #[must_use]
    pub fn all_unread(&self) -> Vec<Decision> {
        let unread = self.copies.iter().filter(|found| !found.copy.is_being_read);
        unread.map(|found| going(found.copy.copy_id, found.copy.backup_id)).collect()
    }

    /// Every copy that nobody holds or reads, in the bin or not.
    #[must_use]
    pub fn all_free(&self) -> Vec<Decision> {
        let free = self.copies.iter().filter(|found| !found.copy.is_held && !found.copy.is_being_read);
        free.map(|found| going(found.copy.copy_id, found.copy.backup_id)).collect()
    }
}

fn going(copy_id: BackupCopyId, backup_id: BackupId) -> Decision {
    Decision { copy_id, backup_id, verdict: Verdict::Delete(GoReason::Asked) }
}

impl Retention<'_> {
    /// Puts committed copies into the bin for `secs`. The caller holds [`Retention::lock`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn recycle(&self, copies: &[Decision], secs: i64, is_asked_for: bool) -> Result<u64, StoreError> {
        if copies.is_empty() {
            return Ok(0);
        }
        let sql = "UPDATE backup_copies SET state = 'recycled', recycled_at = now(), is_asked_for = $4,
                          expires_at = now() + make_interval(secs => $3)
                   WHERE id = ANY($1) AND team_id = $2 AND state = 'committed'";
        let secs = f64::from(i32::try_from(secs).unwrap_or(i32::MAX));
        let values = [ids(copies).into(), self.0.team_id().0.into(), secs.into(), is_asked_for.into()];
        let changed = self.0.change(sql, values).await?;
        self.settle(backups(copies)).await?;
        Ok(changed)
    }

    /// Marks copies as being deleted. The caller holds [`Retention::lock`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, copies: &[Decision]) -> Result<u64, StoreError> {
        if copies.is_empty() {
            return Ok(0);
        }
        let sql =
            "UPDATE backup_copies SET state = 'deleting', expires_at = NULL, error_code = NULL, error_message = NULL
                   WHERE id = ANY($1) AND team_id = $2 AND state IN ('committed', 'recycled')";
        let changed = self.0.change(sql, [ids(copies).into(), self.0.team_id().0.into()]).await?;
        self.settle(backups(copies)).await?;
        Ok(changed)
    }

    /// Takes a backup's copies out of the bin; returns how many there were. The caller holds [`Retention::lock`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn bring_back(&self, backup: BackupId) -> Result<u64, StoreError> {
        let sql =
            "UPDATE backup_copies SET state = 'committed', recycled_at = NULL, expires_at = NULL, is_asked_for = false
                   WHERE backup_id = $1 AND team_id = $2 AND state = 'recycled'";
        let changed = self.0.change(sql, [backup.0.into(), self.0.team_id().0.into()]).await?;
        self.settle(vec![backup.0]).await?;
        Ok(changed)
    }

    /// Says whether a backup stays whatever a rule says. The caller holds [`Retention::lock`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn hold(&self, backup: BackupId, is_held: bool) -> Result<(), StoreError> {
        let sql = "UPDATE backups SET held = $3 WHERE id = $1 AND team_id = $2";
        self.0.change(sql, [backup.0.into(), self.0.team_id().0.into(), is_held.into()]).await?;
        Ok(())
    }

    /// Gives copies that must stay in the bin more time.
    pub(super) async fn prolong(&self, copies: Vec<i64>) -> Result<(), StoreError> {
        let sql = "UPDATE backup_copies SET expires_at = greatest(expires_at, now() + make_interval(secs => $3))
                   WHERE id = ANY($1) AND team_id = $2 AND state = 'recycled' AND expires_at <= now()";
        self.0.change(sql, [copies.into(), self.0.team_id().0.into(), BIN_AGAIN_SECS.into()]).await?;
        Ok(())
    }

    /// A backup is in the bin when all that is left of it is, and gone when nothing is left that could be read again.
    async fn settle(&self, backups: Vec<i64>) -> Result<(), StoreError> {
        let sql = "UPDATE backups b
                   SET recycled_at = CASE WHEN s.committed > 0 THEN NULL
                                          WHEN s.binned > 0 THEN coalesce(b.recycled_at, now()) ELSE b.recycled_at END,
                       deleted_at = CASE WHEN s.committed + s.binned > 0 THEN NULL ELSE coalesce(b.deleted_at, now()) END
                   FROM (SELECT x.id, count(*) FILTER (WHERE c.state = 'committed') AS committed,
                                count(*) FILTER (WHERE c.state = 'recycled') AS binned
                         FROM backups x LEFT JOIN backup_copies c ON c.backup_id = x.id
                         WHERE x.id = ANY($1) AND x.team_id = $2 GROUP BY x.id) s
                   WHERE b.id = s.id AND b.team_id = $2";
        self.0.change(sql, [backups.into(), self.0.team_id().0.into()]).await?;
        Ok(())
    }
}

fn ids(copies: &[Decision]) -> Vec<i64> {
    copies.iter().map(|decision| decision.copy_id.0).collect()
}

fn backups(copies: &[Decision]) -> Vec<i64> {
    copies.iter().map(|decision| decision.backup_id.0).collect()
}
