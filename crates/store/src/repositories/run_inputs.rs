//! What a worker must know to execute a run, read in one transaction.

use super::task_scripts::TaskScript;
use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::{BackupDestinationId, BackupRunId, BackupTaskId, RemoteServerId};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};

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
    /// The task's scripts, in order.
    pub scripts: Vec<(TaskScript, rows::scripts::Model)>,
    /// The team's secrets for scripts, if the task has scripts. Sealed.
    pub script_secrets: Vec<rows::script_secrets::Model>,
    /// Seconds since its first attempt began, by the database's clock.
    pub elapsed_secs: f64,
    /// Stored bytes of the task's latest backup.
    pub last_stored_size: Option<i64>,
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
        let last_stored_size = self.last_stored_size(task_id).await?;
        let elapsed_secs = self.elapsed_secs(id).await?;
        let scripts = self.task_scripts().of(task_id).await?;
        let script_secrets = if scripts.is_empty() { Vec::new() } else { self.sealed().script_secrets().await? };
        Ok(RunInputs {
            run,
            team,
            task,
            server,
            destinations,
            scripts,
            script_secrets,
            elapsed_secs,
            last_stored_size,
            usual_sizes,
        })
    }

    async fn elapsed_secs(&self, id: BackupRunId) -> Result<f64, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT extract(epoch FROM now() - started_at)::float8 AS secs FROM backup_runs WHERE id = $1",
            [id.0.into()],
        );
        let row = self.conn().query_one_raw(statement).await?;
        let secs: Option<f64> = row.map(|row| row.try_get("", "secs")).transpose()?.flatten();
        Ok(secs.unwrap_or(0.0))
    }

    async fn last_stored_size(&self, task: BackupTaskId) -> Result<Option<i64>, StoreError> {
        use rows::backups::{Column, Entity};
        let size = Entity::find()
            .select_only()
            .column(Column::StoredSize)
            .filter(Column::BackupTaskId.eq(task.0))
            .order_by_desc(Column::Id)
            .into_tuple()
            .one(self.conn())
            .await?;
        Ok(size)
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
