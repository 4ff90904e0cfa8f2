//! The recycle bin: copies that went and can still come back.

use super::{Listed, PageRequest, handle, list};
use crate::StoreError;
use holdfast_domain::ids::BackupTaskId;
use holdfast_entity::{backup_copies as copies, backups};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};
use std::collections::BTreeMap;

handle! {
    /// The team's recycle bin.
    RecycleBin, recycle_bin
}

/// One copy in the bin, and its backup.
pub type BinnedRow = (copies::Model, Option<backups::Model>);

impl RecycleBin<'_> {
    /// A page of the copies in it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest) -> Result<Listed<BinnedRow>, StoreError> {
        let team = self.0.team_id().0;
        let binned =
            copies::Entity::find().filter(copies::Column::TeamId.eq(team)).filter(copies::Column::State.eq("recycled"));
        let Listed { rows, total } = list(binned, copies::Column::Id, page, self.0.conn()).await?;
        let of_them = backups::Entity::find()
            .filter(backups::Column::TeamId.eq(team))
            .filter(backups::Column::Id.is_in(rows.iter().map(|row| row.backup_id)))
            .all(self.0.conn())
            .await?;
        let of_them: BTreeMap<i64, backups::Model> = of_them.into_iter().map(|row| (row.id, row)).collect();
        let rows = rows.into_iter().map(|row| {
            let backup = of_them.get(&row.backup_id).cloned();
            (row, backup)
        });
        Ok(Listed { rows: rows.collect(), total })
    }

    /// Tasks that have copies in it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks(&self) -> Result<Vec<BackupTaskId>, StoreError> {
        let sql = "SELECT DISTINCT b.backup_task_id FROM backup_copies c JOIN backups b ON b.id = c.backup_id
                   WHERE c.state = 'recycled' AND c.team_id = $1 ORDER BY 1";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [self.0.team_id().0.into()]);
        let rows = self.0.conn().query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(BackupTaskId(row.try_get("", "backup_task_id")?))).collect()
    }
}
