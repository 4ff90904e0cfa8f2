//! `backup_tasks` and their destinations: the definition of a backup.

use super::backup_runs::UNFINISHED;
use super::definitions::definitions;
use super::task_timing::{TaskTiming, due_columns};
use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupTaskId, RemoteServerId, UserId};
use holdfast_domain::retention::Rule;
use holdfast_entity::{backup_runs, backup_task_destinations as destinations, backup_task_tags, backup_tasks as table};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use std::collections::BTreeMap;
use uuid::Uuid;

handle! {
    /// The team's tasks.
    BackupTasks, backup_tasks
}

/// A task to be created: every column a client decides.
#[derive(Clone)]
pub struct NewBackupTask {
    /// Who creates it.
    pub user_id: UserId,
    /// What it reads from.
    pub remote_server_id: RemoteServerId,
    /// Its name on the page.
    pub label: String,
    /// A note.
    pub description: Option<String>,
    /// `files` or `database`.
    pub kind: String,
    /// [`holdfast_domain::source::SourceSpec`] as JSON.
    pub source: serde_json::Value,
    /// When it runs. It is due first at its first slot after its creation.
    pub timing: TaskTiming,
    /// What stays of its backups.
    pub rule: Rule,
    /// Decoration of object names.
    pub appended_filename: Option<String>,
    /// Folder at the destinations.
    pub store_path: Option<String>,
    /// `managed`, `recipients`, `password`, `none`.
    pub encryption_mode: String,
    /// age public keys.
    pub encryption_recipients: Vec<String>,
    /// What the sealed columns are bound to.
    pub seal_id: Uuid,
    /// Sealed encryption password.
    pub sealed_encryption_password: Option<Vec<u8>>,
    /// Log in as this user instead of the server's.
    pub isolated_username: Option<String>,
    /// Sealed password of that user.
    pub sealed_isolated_password: Option<Vec<u8>>,
    /// Sealed password of the database server.
    pub sealed_source_password: Option<Vec<u8>>,
    /// How long a run may take; none = the operator's limit alone.
    pub max_duration_secs: Option<i32>,
    /// A name for scripts, unique among the team's tasks.
    pub alias: Option<String>,
    /// How late a success may be before the alarm; none = the operator's default.
    pub grace_secs: Option<i32>,
    /// Where its dead man's switch is, sealed.
    pub sealed_ping_url: Option<Vec<u8>>,
    /// 1 to 9: a higher one's runs are taken first.
    pub priority: i16,
    /// `refuse`, `queue` or `skip`: what becomes of a run while another one is unfinished.
    pub on_overlap: String,
}

/// Which tasks are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Somewhere in the label or the alias.
    pub search: Option<String>,
    /// Exactly this alias.
    pub alias: Option<String>,
    /// `files`, `database`.
    pub kind: Option<String>,
    /// One of [`holdfast_domain::schedule::Frequency`].
    pub frequency: Option<String>,
    /// Of this server.
    pub remote_server_id: Option<i64>,
    /// With this destination among theirs.
    pub backup_destination_id: Option<i64>,
    /// With this tag.
    pub tag_id: Option<i64>,
    /// Whether a run is unfinished.
    pub is_running: Option<bool>,
    /// Whether they are paused.
    pub is_paused: Option<bool>,
}

definitions!(BackupTasks, BackupTaskId);

impl BackupTasks<'_> {
    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &TaskFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.search.as_deref(), |query, text| {
                query.filter(has_text(Column::Label, text).or(has_text(Column::Alias, text)))
            })
            .apply_if(filter.alias.as_deref(), |query, text| query.filter(Column::Alias.eq(text)))
            .apply_if(filter.kind.as_deref(), |query, text| query.filter(Column::Type.eq(text)))
            .apply_if(filter.frequency.as_deref(), |query, text| query.filter(Column::Frequency.eq(text)))
            .apply_if(filter.remote_server_id, |query, id| query.filter(Column::RemoteServerId.eq(id)))
            .apply_if(filter.is_paused, |query, is_paused| {
                query.filter(if is_paused { Column::PausedAt.is_not_null() } else { Column::PausedAt.is_null() })
            });
        list_labelled(self.related(select, filter), Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// What is looked up in other tables: destinations, tags, unfinished runs.
    fn related(&self, select: Select<table::Entity>, filter: &TaskFilter) -> Select<table::Entity> {
        use table::Column;
        let team = self.0.team_id().0;
        select
            .apply_if(filter.backup_destination_id, |query, id| {
                let with_it = destinations::Entity::find()
                    .select_only()
                    .column(destinations::Column::BackupTaskId)
                    .filter(destinations::Column::TeamId.eq(team))
                    .filter(destinations::Column::BackupDestinationId.eq(id));
                query.filter(Column::Id.in_subquery(with_it.into_query()))
            })
            .apply_if(filter.tag_id, |query, id| {
                let with_it = backup_task_tags::Entity::find()
                    .select_only()
                    .column(backup_task_tags::Column::BackupTaskId)
                    .filter(backup_task_tags::Column::TeamId.eq(team))
                    .filter(backup_task_tags::Column::TagId.eq(id));
                query.filter(Column::Id.in_subquery(with_it.into_query()))
            })
            .apply_if(filter.is_running, |query, is_running| {
                let running = backup_runs::Entity::find()
                    .select_only()
                    .column(backup_runs::Column::BackupTaskId)
                    .filter(backup_runs::Column::TeamId.eq(team))
                    .filter(backup_runs::Column::Status.is_in(UNFINISHED))
                    .into_query();
                query.filter(if is_running {
                    Column::Id.in_subquery(running)
                } else {
                    Column::Id.not_in_subquery(running)
                })
            })
    }

    /// Those that are due next, at most `limit`; paused ones and those without a schedule are left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn upcoming(&self, limit: u64) -> Result<Vec<table::Model>, StoreError> {
        Ok(self
            .select()
            .filter(table::Column::PausedAt.is_null())
            .filter(table::Column::NextRunAt.is_not_null())
            .order_by_asc(table::Column::NextRunAt)
            .order_by_asc(table::Column::Id)
            .limit(limit)
            .all(self.0.conn())
            .await?)
    }

    /// Creates one with its destinations, in order.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] (`backup_tasks_alias`) where another task of the team has the alias; or the database
    /// failed.
    pub async fn create(
        &self,
        new: NewBackupTask,
        destination_ids: &[i64],
        now: DateTime<Utc>,
    ) -> Result<table::Model, StoreError> {
        let timing = new.timing;
        let (next_run_at, next_slot_at) = due_columns(timing.due_after(now, new.seal_id));
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            remote_server_id: Set(new.remote_server_id.0),
            label: Set(new.label),
            description: Set(new.description),
            r#type: Set(new.kind),
            source: Set(new.source),
            frequency: Set(timing.frequency),
            time_to_run_at: Set(timing.time_to_run_at),
            custom_cron: Set(timing.custom_cron),
            timezone: Set(timing.timezone),
            weekday: Set(timing.weekday),
            weekdays: Set(timing.weekdays),
            minute: Set(timing.minute),
            month_day: Set(timing.month_day),
            interval_secs: Set(timing.interval_secs),
            interval_from: Set(timing.interval_from),
            window_from: Set(timing.window_from),
            window_until: Set(timing.window_until),
            jitter_secs: Set(timing.jitter_secs),
            catch_up: Set(timing.catch_up.as_str().to_owned()),
            next_run_at: Set(next_run_at),
            next_slot_at: Set(next_slot_at),
            scheduled_since: Set(now),
            max_backups: Set(i32::try_from(new.rule.keep_last).unwrap_or(i32::MAX)),
            max_age_secs: Set(new.rule.max_age_secs),
            keep_floor: Set(i32::try_from(new.rule.floor).unwrap_or(i32::MAX)),
            recycle_secs: Set(new.rule.recycle_secs),
            appended_filename: Set(new.appended_filename),
            store_path: Set(new.store_path),
            encryption_mode: Set(new.encryption_mode),
            encryption_recipients: Set(new.encryption_recipients),
            seal_id: Set(new.seal_id),
            sealed_encryption_password: Set(new.sealed_encryption_password),
            isolated_username: Set(new.isolated_username),
            sealed_isolated_password: Set(new.sealed_isolated_password),
            sealed_source_password: Set(new.sealed_source_password),
            max_duration_secs: Set(new.max_duration_secs),
            alias: Set(new.alias),
            grace_secs: Set(new.grace_secs),
            sealed_ping_url: Set(new.sealed_ping_url),
            priority: Set(new.priority),
            on_overlap: Set(new.on_overlap),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        let row = row.insert(self.0.conn()).await?;
        self.set_destinations(BackupTaskId(row.id), destination_ids).await?;
        Ok(row)
    }

    /// Replaces the destinations of a task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_destinations(&self, id: BackupTaskId, destination_ids: &[i64]) -> Result<(), StoreError> {
        destinations::Entity::delete_many()
            .filter(destinations::Column::TeamId.eq(self.0.team_id().0))
            .filter(destinations::Column::BackupTaskId.eq(id.0))
            .exec(self.0.conn())
            .await?;
        let rows = destination_ids.iter().zip(0..).map(|(destination, position)| destinations::ActiveModel {
            team_id: Set(self.0.team_id().0),
            backup_task_id: Set(id.0),
            backup_destination_id: Set(*destination),
            position: Set(position),
        });
        if destination_ids.is_empty() {
            return Ok(());
        }
        destinations::Entity::insert_many(rows).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }

    /// Destination ids of each of `tasks`, in order; a task without any is missing from the map.
    ///
    /// # Errors
    /// The database failed.
    pub async fn destinations_of(&self, tasks: &[i64]) -> Result<BTreeMap<i64, Vec<i64>>, StoreError> {
        let rows = destinations::Entity::find()
            .filter(destinations::Column::TeamId.eq(self.0.team_id().0))
            .filter(destinations::Column::BackupTaskId.is_in(tasks.iter().copied()))
            .order_by_asc(destinations::Column::BackupTaskId)
            .order_by_asc(destinations::Column::Position)
            .all(self.0.conn())
            .await?;
        let mut map: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for row in rows {
            map.entry(row.backup_task_id).or_default().push(row.backup_destination_id);
        }
        Ok(map)
    }

    /// How many have an unfinished run.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_running(&self) -> Result<u64, StoreError> {
        // At most one unfinished run a task, besides one that is queued behind it.
        Ok(backup_runs::Entity::find()
            .filter(backup_runs::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_runs::Column::Status.is_in(UNFINISHED))
            .filter(backup_runs::Column::IsBehind.eq(false))
            .count(self.0.conn())
            .await?)
    }

    /// Removes what tasks, deleted ones too, keep for logging in to a server that is gone.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_log_ins(&self, server: RemoteServerId) -> Result<(), StoreError> {
        table::Entity::update_many()
            .col_expr(table::Column::SealedIsolatedPassword, Expr::value(None::<Vec<u8>>))
            .col_expr(table::Column::SealedSourcePassword, Expr::value(None::<Vec<u8>>))
            .filter(table::Column::TeamId.eq(self.0.team_id().0))
            .filter(table::Column::RemoteServerId.eq(server.0))
            .exec(self.0.conn())
            .await?;
        Ok(())
    }

    /// Ends the scheduling of a task. Its backups stay listed and restorable.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, row: table::Model, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut row = row.into_active_model();
        row.deleted_at = Set(Some(now));
        row.next_run_at = Set(None);
        row.next_slot_at = Set(None);
        row.updated_at = Set(now);
        row.update(self.0.conn()).await?;
        Ok(())
    }
}
