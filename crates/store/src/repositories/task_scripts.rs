//! `backup_task_scripts`: which scripts run at which task, and how. What a list shows of them is read with the rest of it
//! (`task_surroundings`).

use super::handle;
use crate::{StoreError, rows};
use holdfast_domain::ids::{BackupTaskId, ScriptId};
use holdfast_domain::script::{OnFailure, ParameterValues, Phase, RunOn};
use holdfast_entity::backup_task_scripts as table;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Deserialize;

handle! {
    /// The scripts of the team's tasks.
    TaskScripts, task_scripts
}

/// One script at one task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TaskScript {
    /// Which.
    pub script_id: i64,
    /// On which side of the reading.
    pub phase: Phase,
    /// After what.
    pub run_on: RunOn,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// None: the script's own.
    pub timeout_secs: Option<i32>,
    /// The task's values.
    pub parameters: ParameterValues,
}

impl TaskScripts<'_> {
    /// Replaces the scripts of a task, in this order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set(&self, task: BackupTaskId, scripts: &[TaskScript]) -> Result<(), StoreError> {
        let team = self.0.team_id().0;
        table::Entity::delete_many()
            .filter(table::Column::TeamId.eq(team))
            .filter(table::Column::BackupTaskId.eq(task.0))
            .exec(self.0.conn())
            .await?;
        if scripts.is_empty() {
            return Ok(());
        }
        let rows = (0..).zip(scripts).map(|(position, script)| table::ActiveModel {
            team_id: Set(team),
            backup_task_id: Set(task.0),
            position: Set(position),
            script_id: Set(script.script_id),
            phase: Set(script.phase.as_str().to_owned()),
            run_on: Set(script.run_on.as_str().to_owned()),
            on_failure: Set(script.on_failure.as_str().to_owned()),
            timeout_secs: Set(script.timeout_secs),
            parameters: Set(serde_json::json!(script.parameters)),
        });
        table::Entity::insert_many(rows).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }

    /// The scripts of a task, in order, each with its row.
    ///
    /// # Errors
    /// The database failed, or a row cannot be read.
    pub async fn of(&self, task: BackupTaskId) -> Result<Vec<(TaskScript, rows::scripts::Model)>, StoreError> {
        let attached = table::Entity::find()
            .filter(table::Column::BackupTaskId.eq(task.0))
            .order_by_asc(table::Column::Position)
            .all(self.0.conn())
            .await?;
        let ids = attached.iter().map(|row| row.script_id);
        let scripts =
            rows::scripts::Entity::find().filter(rows::scripts::Column::Id.is_in(ids)).all(self.0.conn()).await?;
        let find = |id: i64| scripts.iter().find(|script| script.id == id).cloned();
        attached.into_iter().filter_map(|row| find(row.script_id).map(|script| Ok((read(row)?, script)))).collect()
    }

    /// How many tasks that are not deleted have the script.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks_with(&self, script: ScriptId) -> Result<Vec<i64>, StoreError> {
        let attached = table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::ScriptId.eq(script.0))
            .all(self.0.conn())
            .await?;
        let ids = attached.into_iter().map(|row| row.backup_task_id);
        let tasks = rows::backup_tasks::Entity::find()
            .filter(rows::backup_tasks::Column::TeamId.eq(self.0.team_id().0))
            .filter(rows::backup_tasks::Column::Id.is_in(ids))
            .filter(rows::backup_tasks::Column::DeletedAt.is_null())
            .order_by_asc(rows::backup_tasks::Column::Id)
            .all(self.0.conn())
            .await?;
        Ok(tasks.into_iter().map(|task| task.id).collect())
    }

    /// What each task that has the script gives its parameters.
    ///
    /// # Errors
    /// The database failed, or a row cannot be read.
    pub async fn values_for(&self, script: ScriptId) -> Result<Vec<(i64, ParameterValues)>, StoreError> {
        let tasks = self.tasks_with(script).await?;
        let attached = table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::ScriptId.eq(script.0))
            .all(self.0.conn())
            .await?;
        let live = attached.into_iter().filter(|row| tasks.contains(&row.backup_task_id));
        live.map(|row| Ok((row.backup_task_id, read(row)?.parameters))).collect()
    }
}

fn read(row: table::Model) -> Result<TaskScript, StoreError> {
    let task = row.backup_task_id;
    let unreadable = || StoreError::Inconsistent {
        table: "backup_task_scripts",
        id: task.to_string(),
        problem: "a script of the task cannot be read".to_owned(),
    };
    Ok(TaskScript {
        script_id: row.script_id,
        phase: Phase::parse(&row.phase).ok_or_else(unreadable)?,
        run_on: RunOn::parse(&row.run_on).ok_or_else(unreadable)?,
        on_failure: OnFailure::parse(&row.on_failure).ok_or_else(unreadable)?,
        timeout_secs: row.timeout_secs,
        parameters: serde_json::from_value(row.parameters).map_err(|_| unreadable())?,
    })
}
