//! What a person may not do with a backup by mistake.

use crate::extract::id::found;
use crate::problem::Problem;
use holdfast_domain::ids::{BackupId, BackupTaskId};
use holdfast_domain::retention::is_last_good;
use holdfast_store::repositories::retention::TaskCopies;
use holdfast_store::{TeamTx, rows};

/// Why a backup does not go.
pub(super) enum Refusal {
    Held,
    BeingRead,
    LastGood(String),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Held => Self::conflict("held", "This backup is held. Take the hold away first."),
            Refusal::BeingRead => {
                Self::conflict("being_read", "This backup is being restored or copied. Try again when that is over.")
            }
            Refusal::LastGood(label) => Self::conflict(
                "last_good_backup",
                format!(
                    "This is the last backup of its task that is known to be good. If it may go all the same, repeat \
                     the request with \"confirm\": {label:?}, the task's label."
                ),
            ),
        }
    }
}

/// A backup, its row read again under the lock of its task, and the task's copies.
pub(super) struct Locked {
    pub backup: rows::backups::Model,
    pub task: BackupTaskId,
    pub copies: TaskCopies,
}

/// Waits for others who decide about the task's copies; what is read then stays true until the end of `tx`.
pub(super) async fn lock(tx: &TeamTx, id: BackupId) -> Result<Locked, Problem> {
    let task = BackupTaskId(found::<BackupId, _>(tx.backups().find(id).await?)?.backup_task_id);
    tx.retention().lock(task).await?;
    let backup = found::<BackupId, _>(tx.backups().find(id).await?)?;
    Ok(Locked { backup, task, copies: tx.retention().copies(task).await? })
}

impl Locked {
    /// 409 where the backup may not go, or only on confirmation.
    pub fn refuse(&self, is_held: bool, confirm: Option<&str>) -> Result<(), Problem> {
        let id = BackupId(self.backup.id);
        if is_held {
            return Err(Refusal::Held.into());
        }
        if self.copies.copies.iter().any(|found| found.copy.backup_id == id && found.copy.is_being_read) {
            return Err(Refusal::BeingRead.into());
        }
        let is_confirmed = confirm == Some(self.backup.task_label.as_str());
        if is_last_good(id, &self.copies.committed()) && !is_confirmed {
            return Err(Refusal::LastGood(self.backup.task_label.clone()).into());
        }
        Ok(())
    }
}
