//! `own_backups`: copies of the product's own database, each kept at a destination of the operator's team. A worker's
//! writes say which epoch they believe in.

use super::{Listed, PageRequest, handle, list};
use crate::queue::{self, Job};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::Failure;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId, TeamId, UserId};
use holdfast_domain::manifest::Digest;
use holdfast_entity::own_backups as table;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect,
    Statement,
};

/// Until another worker is offered what this one cannot do.
const HAND_BACK_SECS: f64 = 1.0;

handle! {
    /// Copies of the product's own database at the team's destinations.
    OwnBackups, own_backups
}

/// A copy to be queued.
#[derive(Clone, Debug)]
pub struct NewOwnBackup {
    /// The operator.
    pub user_id: UserId,
    /// Where it is kept.
    pub backup_destination_id: BackupDestinationId,
    /// age public keys.
    pub recipients: Vec<String>,
    /// Its name there.
    pub object_name: String,
}

/// What a claim won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedOwnBackup {
    /// Whose it is.
    pub team_id: TeamId,
    /// The right to write.
    pub epoch: i32,
}

/// One that nobody works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrayOwnBackup {
    /// Whose.
    pub team_id: TeamId,
    /// Which.
    pub id: OwnBackupId,
    /// Its epoch when it was found.
    pub epoch: i32,
    /// What to do with it.
    pub verdict: OwnBackupVerdict,
}

/// What to do with a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnBackupVerdict {
    /// Put it on the queue again.
    Nudge,
    /// Its worker is gone: end it as failed.
    Abandon,
    /// It failed: remove what may lie at its destination.
    Remove,
}

impl OwnBackups<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest) -> Result<Listed<table::Model>, StoreError> {
        list(self.select(), table::Column::Id, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: OwnBackupId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: OwnBackupId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// Queues one. The caller enqueues its job in the same transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_queued(&self, new: NewOwnBackup, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(Some(new.user_id.0)),
            backup_destination_id: Set(new.backup_destination_id.0),
            recipients: Set(new.recipients),
            object_name: Set(new.object_name),
            created_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Forgets one whose object is gone.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, id: OwnBackupId) -> Result<(), StoreError> {
        table::Entity::delete_many()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// Writes that it was made; false when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn succeed(&self, id: OwnBackupId, epoch: i32, digest: &Digest) -> Result<bool, StoreError> {
        let size = i64::try_from(digest.size_bytes).unwrap_or(i64::MAX);
        let sql = "UPDATE own_backups SET status = 'succeeded', size_bytes = $3, sha256 = $4, lease_until = NULL,
                       completed_at = now()
                   WHERE id = $1 AND epoch = $2 AND status = 'running'";
        let values = [id.0.into(), epoch.into(), size.into(), digest.sha256.as_str().into()];
        Ok(self.0.change(sql, values).await? > 0)
    }

    /// Writes why it was not made; false when the lease is lost. What may lie at the destination stays recorded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fail(&self, id: OwnBackupId, epoch: i32, failure: &Failure) -> Result<bool, StoreError> {
        let sql = "UPDATE own_backups SET status = 'failed', error_code = $3, error_message = $4, lease_until = NULL,
                       completed_at = now()
                   WHERE id = $1 AND epoch = $2 AND status = 'running'";
        let values = [id.0.into(), epoch.into(), failure.code.as_str().into(), failure.to_string().into()];
        Ok(self.0.change(sql, values).await? > 0)
    }

    /// Puts one that nothing was written of back on the queue, for a worker that holds its store; false when the lease is
    /// lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn hand_back(&self, id: OwnBackupId, epoch: i32) -> Result<bool, StoreError> {
        let sql = "UPDATE own_backups SET status = 'queued', has_object = false, owner = NULL, lease_until = NULL
                   WHERE id = $1 AND epoch = $2 AND status = 'running'";
        let is_ours = self.0.change(sql, [id.0.into(), epoch.into()]).await? > 0;
        if is_ours {
            queue::hand_over(self.0, Job::MakeOwnBackup(id), epoch, HAND_BACK_SECS).await?;
        }
        Ok(is_ours)
    }

    /// Notes that nothing of a failed one lies at its destination any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn object_is_gone(&self, id: OwnBackupId) -> Result<(), StoreError> {
        let sql = "UPDATE own_backups SET has_object = false WHERE id = $1 AND status = 'failed'";
        self.0.change(sql, [id.0.into()]).await.map(|_| ())
    }
}

impl Store {
    /// Claims a queued one. `None`: over, or somebody else's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_own_backup(
        &self,
        id: OwnBackupId,
        owner: &str,
        lease_secs: f64,
    ) -> Result<Option<ClaimedOwnBackup>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT team_id, epoch FROM claim_own_backup($1, $2, $3)",
            [id.0.into(), owner.into(), lease_secs.into()],
        );
        let Some(row) = self.db().query_one_raw(statement).await? else { return Ok(None) };
        Ok(Some(ClaimedOwnBackup { team_id: TeamId(row.try_get("", "team_id")?), epoch: row.try_get("", "epoch")? }))
    }

    /// Those that nobody works on, and failed ones of which something may be left.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stray_own_backups(&self, queued_secs: f64, at_most: i32) -> Result<Vec<StrayOwnBackup>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT team_id, own_backup_id, epoch, verdict FROM stray_own_backups($1, $2)",
            [queued_secs.into(), at_most.into()],
        );
        let rows = self.db().query_all_raw(statement).await?;
        rows.iter()
            .map(|row| {
                Ok(StrayOwnBackup {
                    team_id: TeamId(row.try_get("", "team_id")?),
                    id: OwnBackupId(row.try_get("", "own_backup_id")?),
                    epoch: row.try_get("", "epoch")?,
                    verdict: match row.try_get::<String>("", "verdict")?.as_str() {
                        "nudge" => OwnBackupVerdict::Nudge,
                        "abandon" => OwnBackupVerdict::Abandon,
                        _ => OwnBackupVerdict::Remove,
                    },
                })
            })
            .collect()
    }
}
