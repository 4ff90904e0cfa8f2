//! `backup_runs`, the side of those who ask: create, look, cancel. What a worker writes stands in `run_execution`.

use super::cancelling::cancel_sql;
use super::{Listed, PageRequest, handle, has_text, list};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupRunId, BackupTaskId, UserId};
use holdfast_entity::{backup_run_lines, backup_runs as table, backup_tasks};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

/// States in which a run can still change.
pub const UNFINISHED: [&str; 3] = ["queued", "running", "verifying"];

handle! {
    /// The team's runs.
    BackupRuns, backup_runs
}

/// A run to be queued.
#[derive(Clone, Debug)]
pub struct NewBackupRun {
    /// Of which task.
    pub backup_task_id: BackupTaskId,
    /// In object names: random, 26 characters.
    pub ulid: String,
    /// `manual`, `schedule`, `webhook`.
    pub trigger: &'static str,
    /// The person behind a manual one.
    pub triggered_by: Option<UserId>,
    /// The due time of a scheduled one; unique per task.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// Instead of the task's own.
    pub destination_ids: Option<Vec<i64>>,
    /// Whether it waits for the unfinished run of its task.
    pub is_behind: bool,
    /// The failed run that it tries again.
    pub retry_of: Option<BackupRunId>,
}

/// Which runs are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this task.
    pub backup_task_id: Option<i64>,
    /// In this state.
    pub status: Option<String>,
    /// Started this way.
    pub trigger: Option<String>,
    /// Created at or after.
    pub since: Option<DateTime<Utc>>,
    /// Of tasks of this server.
    pub remote_server_id: Option<i64>,
    /// Somewhere in the task's label.
    pub search: Option<String>,
}

/// A part of a run's log.
#[derive(Clone, Debug)]
pub struct LogPart {
    /// Lines in order.
    pub lines: Vec<backup_run_lines::Model>,
    /// Lines in the whole log.
    pub total: u64,
}

impl BackupRuns<'_> {
    /// Ids of the team's tasks, deleted ones too, to be filtered.
    fn tasks(&self) -> sea_orm::Select<backup_tasks::Entity> {
        backup_tasks::Entity::find()
            .select_only()
            .column(backup_tasks::Column::Id)
            .filter(backup_tasks::Column::TeamId.eq(self.0.team_id().0))
    }

    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &RunFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.backup_task_id, |query, id| query.filter(Column::BackupTaskId.eq(id)))
            .apply_if(filter.status.as_deref(), |query, text| query.filter(Column::Status.eq(text)))
            .apply_if(filter.trigger.as_deref(), |query, text| query.filter(Column::Trigger.eq(text)))
            .apply_if(filter.since, |query, since| query.filter(Column::CreatedAt.gte(since)))
            .apply_if(filter.remote_server_id, |query, id| {
                let of_it = self.tasks().filter(backup_tasks::Column::RemoteServerId.eq(id));
                query.filter(Column::BackupTaskId.in_subquery(of_it.into_query()))
            })
            .apply_if(filter.search.as_deref(), |query, text| {
                let named = self.tasks().filter(has_text(backup_tasks::Column::Label, text));
                query.filter(Column::BackupTaskId.in_subquery(named.into_query()))
            });
        list(select, table::Column::Id, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: BackupRunId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// The unfinished runs of a task: none, one, or that one and one that is queued behind it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unfinished_of(&self, task: BackupTaskId) -> Result<Vec<table::Model>, StoreError> {
        Ok(self
            .select()
            .filter(table::Column::BackupTaskId.eq(task.0))
            .filter(table::Column::Status.is_in(UNFINISHED))
            .order_by_asc(table::Column::IsBehind)
            .all(self.0.conn())
            .await?)
    }

    /// Queues a run. The caller enqueues its job in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] (`backup_runs_active`, `backup_runs_behind`) while another run of the task is unfinished,
    /// or waits behind that one; the transaction is then over.
    pub async fn create_queued(&self, new: NewBackupRun, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            backup_task_id: Set(new.backup_task_id.0),
            ulid: Set(new.ulid),
            trigger: Set(new.trigger.to_owned()),
            triggered_by: Set(new.triggered_by.map(|u| u.0)),
            scheduled_for: Set(new.scheduled_for),
            destination_ids: Set(new.destination_ids),
            is_behind: Set(new.is_behind),
            retry_of: Set(new.retry_of.map(|run| run.0)),
            created_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Records a run that was not made, because another one of its task was unfinished.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_skipped(&self, new: NewBackupRun, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            backup_task_id: Set(new.backup_task_id.0),
            ulid: Set(new.ulid),
            trigger: Set(new.trigger.to_owned()),
            triggered_by: Set(new.triggered_by.map(|u| u.0)),
            destination_ids: Set(new.destination_ids),
            status: Set("skipped".to_owned()),
            error_message: Set(Some("Another run of this task was active.".to_owned())),
            created_at: Set(now),
            completed_at: Set(Some(now)),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Asks an unfinished run to stop; one that no worker has is over at once. Returns the row as it then is; none
    /// when there is no such run. A finished run stays as it is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_cancel(
        &self,
        id: BackupRunId,
        now: DateTime<Utc>,
    ) -> Result<Option<table::Model>, StoreError> {
        let values = [id.0.into(), self.0.team_id().0.into(), now.into()];
        let changed = self.0.change(cancel_sql!("backup_runs"), values).await?;
        tracing::debug!(run = %id, rows = changed, "cancel requested");
        self.find(id).await
    }

    /// Lines from `offset` (0-based) on, at most `limit`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn log(&self, id: BackupRunId, offset: u64, limit: u64) -> Result<LogPart, StoreError> {
        let select = self.lines(id);
        let total = select.clone().count(self.0.conn()).await?;
        let lines = select
            .order_by_asc(backup_run_lines::Column::LineNumber)
            .offset(offset)
            .limit(limit)
            .all(self.0.conn())
            .await?;
        Ok(LogPart { lines, total })
    }

    /// Lines after line `after`, at most `limit`. Lines never change, and a later one has a higher number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lines_after(
        &self,
        id: BackupRunId,
        after: i32,
        limit: u64,
    ) -> Result<Vec<backup_run_lines::Model>, StoreError> {
        Ok(self
            .lines(id)
            .filter(backup_run_lines::Column::LineNumber.gt(after))
            .order_by_asc(backup_run_lines::Column::LineNumber)
            .limit(limit)
            .all(self.0.conn())
            .await?)
    }

    /// The number of the last line; 0 of a log without one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_line(&self, id: BackupRunId) -> Result<i32, StoreError> {
        let last: Option<Option<i32>> = self
            .lines(id)
            .select_only()
            .column_as(backup_run_lines::Column::LineNumber.max(), "last")
            .into_tuple()
            .one(self.0.conn())
            .await?;
        Ok(last.flatten().unwrap_or(0))
    }

    fn lines(&self, id: BackupRunId) -> sea_orm::Select<backup_run_lines::Entity> {
        backup_run_lines::Entity::find()
            .filter(backup_run_lines::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_run_lines::Column::BackupRunId.eq(id.0))
    }

    /// Which of `runs` have a log.
    ///
    /// # Errors
    /// The database failed.
    pub async fn with_log(&self, runs: &[i64]) -> Result<std::collections::BTreeSet<i64>, StoreError> {
        let ids: Vec<i64> = backup_run_lines::Entity::find()
            .select_only()
            .column(backup_run_lines::Column::BackupRunId)
            .distinct()
            .filter(backup_run_lines::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_run_lines::Column::BackupRunId.is_in(runs.iter().copied()))
            .into_tuple()
            .all(self.0.conn())
            .await?;
        Ok(ids.into_iter().collect())
    }
}
