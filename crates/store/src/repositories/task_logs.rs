//! Runs as page 003 knows them: logs. A `skipped` run makes none, and one that somebody deleted is not there any more,
//! although its run and its backup are. Nothing here may touch a backup.

use super::backup_runs::UNFINISHED;
use super::{Listed, PageRequest, handle, has_text, list};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupRunId, BackupTaskId};
use holdfast_entity::{backup_run_lines as lines, backup_runs as table, backup_tasks};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Statement,
};
use std::collections::BTreeMap;

handle! {
    /// The team's logs.
    TaskLogs, task_logs
}

/// Which logs are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Of this task.
    pub backup_task_id: Option<i64>,
    /// Runs in one of these states.
    pub statuses: Option<&'static [&'static str]>,
    /// Somewhere in the task's label.
    pub search: Option<String>,
}

/// The end of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogText {
    /// Whole lines, in order.
    pub lines: Vec<String>,
    /// Whether earlier ones were left out.
    pub is_cut: bool,
}

impl TaskLogs<'_> {
    fn select(&self) -> sea_orm::Select<table::Entity> {
        table::Entity::find()
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::Status.ne("skipped"))
            .filter(table::Column::LogDeletedAt.is_null())
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &LogFilter) -> Result<Listed<table::Model>, StoreError> {
        let team = self.0.team_id().0;
        let select = self
            .select()
            .apply_if(filter.backup_task_id, |query, id| query.filter(table::Column::BackupTaskId.eq(id)))
            .apply_if(filter.statuses, |query, list| query.filter(table::Column::Status.is_in(list.iter().copied())))
            .apply_if(filter.search.as_deref(), |query, text| {
                let named = backup_tasks::Entity::find()
                    .select_only()
                    .column(backup_tasks::Column::Id)
                    .filter(backup_tasks::Column::TeamId.eq(team))
                    .filter(has_text(backup_tasks::Column::Label, text));
                query.filter(table::Column::BackupTaskId.in_subquery(named.into_query()))
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

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: BackupRunId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// The newest of a task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_of(&self, task: BackupTaskId) -> Result<Option<table::Model>, StoreError> {
        let of_it = self.select().filter(table::Column::BackupTaskId.eq(task.0));
        Ok(of_it.order_by_desc(table::Column::Id).limit(1).one(self.0.conn()).await?)
    }

    /// The last lines of each of `runs`, at most `max_chars` characters of each; a run without lines is missing from the
    /// map.
    ///
    /// # Errors
    /// The database failed.
    pub async fn texts(&self, runs: &[i64], max_chars: i64) -> Result<BTreeMap<i64, LogText>, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT backup_run_id, content, line_number > 1 AND is_first AS is_cut FROM (
                 SELECT backup_run_id, line_number, content,
                        line_number = min(line_number) OVER (PARTITION BY backup_run_id) AS is_first
                 FROM (SELECT backup_run_id, line_number, content,
                              sum(length(content) + 1) OVER (PARTITION BY backup_run_id ORDER BY line_number DESC) AS chars
                       FROM backup_run_lines WHERE team_id = $1 AND backup_run_id = ANY ($2)) counted
                 WHERE chars <= $3) shown
             ORDER BY backup_run_id, line_number",
            [self.0.team_id().0.into(), runs.to_vec().into(), max_chars.into()],
        );
        let mut map: BTreeMap<i64, LogText> = BTreeMap::new();
        for row in self.0.conn().query_all_raw(statement).await? {
            let text = map.entry(row.try_get("", "backup_run_id")?).or_default();
            text.lines.push(row.try_get("", "content")?);
            text.is_cut |= row.try_get::<bool>("", "is_cut")?;
        }
        Ok(map)
    }

    /// Removes the lines of a finished run and hides its log for good.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, id: BackupRunId, now: DateTime<Utc>) -> Result<(), StoreError> {
        let team = self.0.team_id().0;
        lines::Entity::delete_many()
            .filter(lines::Column::TeamId.eq(team))
            .filter(lines::Column::BackupRunId.eq(id.0))
            .exec(self.0.conn())
            .await?;
        table::Entity::update_many()
            .col_expr(table::Column::LogDeletedAt, Expr::value(now))
            .col_expr(table::Column::LogBytes, Expr::value(0_i64))
            .filter(table::Column::TeamId.eq(team))
            .filter(table::Column::Id.eq(id.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// Those of finished runs, all and those made at or after `since`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_finished(&self, since: DateTime<Utc>) -> Result<(u64, u64), StoreError> {
        let finished = self.select().filter(table::Column::Status.is_not_in(UNFINISHED));
        let total = finished.clone().count(self.0.conn()).await?;
        let recent = finished.filter(table::Column::CreatedAt.gte(since)).count(self.0.conn()).await?;
        Ok((total, recent))
    }
}
