//! What a worker must know to execute a run, read in one transaction.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupDestinationId, BackupRunId, BackupTaskId, RemoteServerId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

/// How many earlier backups of the task tell what size is usual.
const SIZES_KEPT: u64 = 5;

/// A run and everything it refers to, as it is now. Sealed columns are still sealed.
#[derive(Clone)]
pub struct RunInputs {
    /// The run.
    pub run: rows::backup_runs::Model,
    /// Its team.
    pub team: rows::teams::Model,
    /// Its task.
    pub task: rows::backup_tasks::Model,
    /// The server that is read.
    pub server: rows::remote_servers::Model,
    /// Where it goes, in the task's order; deleted ones are among them.
    pub destinations: Vec<rows::backup_destinations::Model>,
    /// Plain sizes of the task's latest backups, the newest first.
    pub usual_sizes: Vec<i64>,
}

impl TeamTx {
    /// Reads what a run needs.
    ///
    /// # Errors
    /// The database failed, or a row that the schema promises is not there.
    pub async fn run_inputs(&self, id: BackupRunId) -> Result<RunInputs, StoreError> {
        let run = rows::backup_runs::Entity::find_by_id(id.0)
            .one(self.conn())
            .await?
            .ok_or_else(|| missing("backup_runs", id.0))?;
        let task_id = BackupTaskId(run.backup_task_id);
        let task = self.sealed().task(task_id).await?.ok_or_else(|| missing("backup_tasks", task_id.0))?;
        let server_id = RemoteServerId(task.remote_server_id);
        let server = self.sealed().server(server_id).await?.ok_or_else(|| missing("remote_servers", server_id.0))?;
        let ids = match &run.destination_ids {
            Some(ids) => ids.clone(),
            None => self.destinations_of(task_id).await?,
        };
        let mut destinations = Vec::with_capacity(ids.len());
        for id in ids {
            let row = self.sealed().destination(BackupDestinationId(id)).await?;
            destinations.push(row.ok_or_else(|| missing("backup_destinations", id))?);
        }
        let team = self.sealed().team().await?;
        let usual_sizes = self.usual_sizes(task_id).await?;
        Ok(RunInputs { run, team, task, server, destinations, usual_sizes })
    }

    async fn destinations_of(&self, task: BackupTaskId) -> Result<Vec<i64>, StoreError> {
        use rows::backup_task_destinations::{Column, Entity};
        let rows = Entity::find()
            .filter(Column::BackupTaskId.eq(task.0))
            .order_by_asc(Column::Position)
            .all(self.conn())
            .await?;
        Ok(rows.into_iter().map(|row| row.backup_destination_id).collect())
    }

    async fn usual_sizes(&self, task: BackupTaskId) -> Result<Vec<i64>, StoreError> {
        use rows::backups::{Column, Entity};
        let sizes = Entity::find()
            .select_only()
            .column(Column::OriginalSize)
            .filter(Column::BackupTaskId.eq(task.0))
            .order_by_desc(Column::Id)
            .limit(SIZES_KEPT)
            .into_tuple()
            .all(self.conn())
            .await?;
        Ok(sizes)
    }
}

fn missing(table: &'static str, id: i64) -> StoreError {
    StoreError::Inconsistent { table, id: id.to_string(), problem: "the row is gone".to_owned() }
}
