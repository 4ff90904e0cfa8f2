//! `prunes`: who deletes what was marked, one worker a task at a time. The row says what is wanted and the job is a nudge;
//! whatever a killed worker left undone is found here and done by the next.

use super::handle;
use crate::queue::{self, Job};
use crate::{Store, StoreError, TeamTx, rows};
use holdfast_domain::Failure;
use holdfast_domain::ids::{BackupCopyId, BackupRunId, BackupTaskId, TeamId};
use holdfast_domain::notification::{EventKind, Message};
use holdfast_domain::telling::About;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, Statement};

handle! {
    /// What is to be pruned of the team's tasks.
    Prunes, prunes
}

/// What a claim won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedPrune {
    /// Whose it is.
    pub team_id: TeamId,
    /// The right to write, until another claim raises it.
    pub epoch: i32,
}

/// A copy whose objects are to be deleted.
#[derive(Clone, Debug)]
pub struct DoomedCopy {
    /// The copy.
    pub copy: rows::backup_copies::Model,
    /// Where it lies.
    pub destination: rows::backup_destinations::Model,
    /// What lies there: the manifest first, so that nothing half deleted can be read by anyone.
    pub objects: Vec<rows::backup_copy_objects::Model>,
}

impl Store {
    /// Claims the prune of a task for `lease_secs`. `None`: nothing is wanted, it is not due, or another worker is at it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_prune(
        &self,
        task: BackupTaskId,
        owner: &str,
        lease_secs: f64,
    ) -> Result<Option<ClaimedPrune>, StoreError> {
        let sql = "SELECT team_id, epoch FROM claim_prune($1, $2, $3)";
        let values = [task.0.into(), owner.into(), lease_secs.into()];
        let row = self.db().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ClaimedPrune { team_id: TeamId(row.try_get("", "team_id")?), epoch: row.try_get("", "epoch")? }))
    }

    /// Tasks whose prune nobody works on although a worker that holds `store_ids` could.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stray_prunes(
        &self,
        store_ids: Vec<String>,
        idle_secs: f64,
        at_most: i32,
    ) -> Result<Vec<(TeamId, BackupTaskId)>, StoreError> {
        let sql = "SELECT team_id, backup_task_id FROM stray_prunes($1, $2, $3)";
        let values = [store_ids.into(), idle_secs.into(), at_most.into()];
        self.tasks(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await
    }

    /// Tasks with copies whose time in the bin is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks_with_expired_copies(&self, at_most: i32) -> Result<Vec<(TeamId, BackupTaskId)>, StoreError> {
        let sql = "SELECT team_id, backup_task_id FROM tasks_with_expired_copies($1)";
        self.tasks(Statement::from_sql_and_values(DbBackend::Postgres, sql, [at_most.into()])).await
    }

    /// What a function of the schema returns as `team_id` and `backup_task_id`.
    pub(crate) async fn tasks(&self, statement: Statement) -> Result<Vec<(TeamId, BackupTaskId)>, StoreError> {
        let rows = self.db().query_all_raw(statement).await?;
        let pair = |row: &sea_orm::QueryResult| {
            Ok((TeamId(row.try_get("", "team_id")?), BackupTaskId(row.try_get("", "backup_task_id")?)))
        };
        rows.iter().map(pair).collect()
    }
}

impl TeamTx {
    /// Tells that copies stay although the task's rule takes them, with a reason and more lines.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tell_prune_refused(
        &self,
        task: BackupTaskId,
        id: String,
        (reason, lines): (String, Vec<String>),
    ) -> Result<(), StoreError> {
        self.aside(async {
            let about = About::Task(task);
            let message = Message { reason: Some(reason), lines, ..self.outbox().message(about, id).await? };
            self.outbox().announce(about, &[EventKind::PruneRefused], &message).await?;
            Ok(())
        })
        .await
    }
}

impl Prunes<'_> {
    /// Asks for the deletion of what is marked and, where a run just committed, for its task's rule to be applied. The
    /// job is enqueued in the same transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request(&self, task: BackupTaskId, committed: Option<BackupRunId>) -> Result<(), StoreError> {
        let sql = "INSERT INTO prunes (backup_task_id, team_id, is_plan_due, backup_run_id, wanted_at, requests)
                   SELECT id, team_id, $3::bigint IS NOT NULL, $3, now(), 1 FROM backup_tasks WHERE id = $1 AND team_id = $2
                   ON CONFLICT (backup_task_id) DO UPDATE
                   SET is_plan_due = prunes.is_plan_due OR excluded.is_plan_due, wanted_at = now(), not_before = now(),
                       backup_run_id = coalesce(excluded.backup_run_id, prunes.backup_run_id),
                       failures = 0, requests = prunes.requests + 1
                   RETURNING requests";
        let values = [task.0.into(), self.0.team_id().0.into(), committed.map(|run| run.0).into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(row) = self.0.conn().query_one_raw(statement).await? else { return Ok(()) };
        queue::enqueue(self.0, Job::PruneTask(task, row.try_get("", "requests")?)).await
    }

    /// The row, locked, while the claim holds.
    ///
    /// # Errors
    /// The database failed.
    pub async fn held(&self, task: BackupTaskId, epoch: i32) -> Result<Option<rows::prunes::Model>, StoreError> {
        let sql = "SELECT * FROM prunes WHERE backup_task_id = $1 AND epoch = $2 AND team_id = $3 FOR UPDATE";
        let values = [task.0.into(), epoch.into(), self.0.team_id().0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(rows::prunes::Model::find_by_statement(statement).one(self.0.conn()).await?)
    }

    /// Notes that the rule was applied.
    ///
    /// # Errors
    /// The database failed.
    pub async fn planned(&self, task: BackupTaskId, epoch: i32) -> Result<(), StoreError> {
        let sql = "UPDATE prunes SET is_plan_due = false WHERE backup_task_id = $1 AND epoch = $2 AND team_id = $3";
        self.0.change(sql, [task.0.into(), epoch.into(), self.0.team_id().0.into()]).await?;
        Ok(())
    }

    /// The next copy after `after` whose objects are to be deleted.
    ///
    /// # Errors
    /// The database failed, or the copy's destination is missing (a foreign key forbids it).
    pub async fn next_doomed(&self, task: BackupTaskId, after: BackupCopyId) -> Result<Option<DoomedCopy>, StoreError> {
        let sql = "SELECT c.* FROM backup_copies c JOIN backups b ON b.id = c.backup_id
                   WHERE b.backup_task_id = $1 AND b.team_id = $2 AND c.state = 'deleting' AND c.id > $3
                   ORDER BY c.id LIMIT 1";
        let values = [task.0.into(), self.0.team_id().0.into(), after.0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let conn = self.0.conn();
        let Some(copy) = rows::backup_copies::Model::find_by_statement(statement).one(conn).await? else {
            return Ok(None);
        };
        let destination = rows::backup_destinations::Entity::find_by_id(copy.backup_destination_id).one(conn).await?;
        let destination = destination.ok_or_else(|| StoreError::Inconsistent {
            table: "backup_copies",
            id: copy.id.to_string(),
            problem: "no destination".to_owned(),
        })?;
        let mut objects = rows::backup_copy_objects::Entity::find()
            .filter(rows::backup_copy_objects::Column::TeamId.eq(self.0.team_id().0))
            .filter(rows::backup_copy_objects::Column::BackupCopyId.eq(copy.id))
            .all(conn)
            .await?;
        objects.sort_by_key(|object| (object.kind != "manifest", object.id));
        Ok(Some(DoomedCopy { copy, destination, objects }))
    }

    /// Notes that a copy's objects are gone; with them goes their record. `false` where it was not being deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_deleted(&self, copy: BackupCopyId) -> Result<bool, StoreError> {
        let team = self.0.team_id().0;
        let sql =
            "UPDATE backup_copies SET state = 'deleted', deleted_at = now(), error_code = NULL, error_message = NULL
                   WHERE id = $1 AND team_id = $2 AND state = 'deleting'";
        if self.0.change(sql, [copy.0.into(), team.into()]).await? != 1 {
            return Ok(false);
        }
        let sql = "DELETE FROM backup_copy_objects WHERE backup_copy_id = $1 AND team_id = $2";
        self.0.change(sql, [copy.0.into(), team.into()]).await?;
        Ok(true)
    }

    /// Notes why a copy's objects could not be deleted yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_failed(&self, copy: BackupCopyId, failure: &Failure) -> Result<(), StoreError> {
        let sql = "UPDATE backup_copies SET error_code = $3, error_message = $4
                   WHERE id = $1 AND team_id = $2 AND state = 'deleting'";
        let values =
            [copy.0.into(), self.0.team_id().0.into(), failure.code.as_str().into(), failure.to_string().into()];
        self.0.change(sql, values).await?;
        Ok(())
    }

    /// Gives the claim back. Where copies are left to be deleted the next round is due `delay_secs` from now, where one
    /// was asked for meanwhile at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn finish(&self, task: BackupTaskId, epoch: i32, delay_secs: Option<f64>) -> Result<(), StoreError> {
        let sql = "UPDATE prunes p
                   SET lease_until = NULL, owner = NULL,
                       failures = CASE WHEN $4::float8 IS NULL THEN 0 ELSE failures + 1 END,
                       not_before = CASE WHEN $4::float8 IS NULL OR is_plan_due THEN now()
                                         ELSE now() + make_interval(secs => $4) END,
                       wanted_at = CASE WHEN is_plan_due OR EXISTS (
                           SELECT 1 FROM backup_copies c JOIN backups b ON b.id = c.backup_id
                           WHERE b.backup_task_id = p.backup_task_id AND c.state = 'deleting') THEN wanted_at END
                   WHERE backup_task_id = $1 AND epoch = $2 AND team_id = $3";
        let values = [task.0.into(), epoch.into(), self.0.team_id().0.into(), delay_secs.into()];
        self.0.change(sql, values).await?;
        Ok(())
    }

    /// Copies of a task that are being deleted, with why they are still there.
    ///
    /// # Errors
    /// The database failed.
    pub async fn doomed(&self, task: BackupTaskId) -> Result<Vec<rows::backup_copies::Model>, StoreError> {
        let sql = "SELECT c.* FROM backup_copies c JOIN backups b ON b.id = c.backup_id
                   WHERE b.backup_task_id = $1 AND b.team_id = $2 AND c.state = 'deleting' ORDER BY c.id";
        let values = [task.0.into(), self.0.team_id().0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(rows::backup_copies::Model::find_by_statement(statement).all(self.0.conn()).await?)
    }
}
