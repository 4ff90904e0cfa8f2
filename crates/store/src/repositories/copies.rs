//! What a worker needs to read a backup: its row, its parts and its committed copies with their recorded objects.
//! A copy that is not committed is never returned, and an object is found by record alone.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::Failure;
use holdfast_domain::ids::BackupId;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, Statement};

/// A backup as recorded.
#[derive(Clone, Debug)]
pub struct BackupToRead {
    /// The backup.
    pub backup: rows::backups::Model,
    /// `teams.uuid`: the first folder of a local destination.
    pub team_uuid: uuid::Uuid,
    /// The task that made it (kept when deleted): its sealed encryption password.
    pub task: rows::backup_tasks::Model,
    /// Its parts in order.
    pub streams: Vec<rows::backup_streams::Model>,
    /// Its committed copies: those that nobody failed to read, of them the best verified first, then in order of id.
    pub copies: Vec<CopyToRead>,
}

/// A committed copy.
#[derive(Clone, Debug)]
pub struct CopyToRead {
    /// The copy.
    pub copy: rows::backup_copies::Model,
    /// Where it lies.
    pub destination: rows::backup_destinations::Model,
    /// Its objects, in the order of `part`.
    pub objects: Vec<rows::backup_copy_objects::Model>,
}

/// Backups as a worker reads them.
pub struct Copies<'a> {
    tx: &'a TeamTx,
}

impl TeamTx {
    /// Backups and their committed copies.
    #[must_use]
    pub fn copies(&self) -> Copies<'_> {
        Copies { tx: self }
    }
}

impl Copies<'_> {
    /// A backup that is not deleted, with what is needed to read it.
    ///
    /// # Errors
    /// The database failed, or the backup's task or team is missing (a foreign key forbids it).
    pub async fn of(&self, id: BackupId) -> Result<Option<BackupToRead>, StoreError> {
        let conn = self.tx.conn();
        let Some(backup) = rows::backups::Entity::find_by_id(id.0)
            .filter(rows::backups::Column::TeamId.eq(self.tx.team_id().0))
            .filter(rows::backups::Column::DeletedAt.is_null())
            .one(conn)
            .await?
        else {
            return Ok(None);
        };
        let task = rows::backup_tasks::Entity::find_by_id(backup.backup_task_id).one(conn).await?;
        let team = rows::teams::Entity::find_by_id(backup.team_id).one(conn).await?;
        let (Some(task), Some(team)) = (task, team) else {
            return Err(StoreError::Inconsistent {
                table: "backups",
                id: id.to_string(),
                problem: "no task or team".to_owned(),
            });
        };
        let streams = rows::backup_streams::Entity::find()
            .filter(rows::backup_streams::Column::BackupId.eq(id.0))
            .order_by_asc(rows::backup_streams::Column::Position)
            .all(conn)
            .await?;
        let copies = self.committed(id).await?;
        Ok(Some(BackupToRead { backup, team_uuid: team.uuid, task, streams, copies }))
    }

    /// Notes on a copy why it could not be read, for whoever looks at the backup; it stays committed, because another
    /// reading may end better.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_unreadable(&self, copy_id: i64, failure: &Failure) -> Result<(), StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "UPDATE backup_copies SET error_code = $3, error_message = $4 WHERE id = $1 AND team_id = $2",
            [copy_id.into(), self.tx.team_id().0.into(), failure.code.as_str().into(), failure.to_string().into()],
        );
        self.tx.conn().execute_raw(statement).await?;
        Ok(())
    }

    async fn committed(&self, id: BackupId) -> Result<Vec<CopyToRead>, StoreError> {
        let conn = self.tx.conn();
        let mut copies = rows::backup_copies::Entity::find()
            .filter(rows::backup_copies::Column::TeamId.eq(self.tx.team_id().0))
            .filter(rows::backup_copies::Column::BackupId.eq(id.0))
            .filter(rows::backup_copies::Column::State.eq("committed"))
            .order_by_asc(rows::backup_copies::Column::Id)
            .all(conn)
            .await?;
        copies.sort_by_key(|c| (c.error_code.is_some(), std::cmp::Reverse(c.verified_level.unwrap_or(0))));
        let mut found = Vec::with_capacity(copies.len());
        for copy in copies {
            let destination = rows::backup_destinations::Entity::find_by_id(copy.backup_destination_id)
                .one(conn)
                .await?
                .ok_or_else(|| StoreError::Inconsistent {
                    table: "backup_copies",
                    id: copy.id.to_string(),
                    problem: "no destination".to_owned(),
                })?;
            let objects = rows::backup_copy_objects::Entity::find()
                .filter(rows::backup_copy_objects::Column::BackupCopyId.eq(copy.id))
                .order_by_asc(rows::backup_copy_objects::Column::Part)
                .all(conn)
                .await?;
            found.push(CopyToRead { copy, destination, objects });
        }
        Ok(found)
    }
}
