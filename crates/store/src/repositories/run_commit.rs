//! The one place where a run becomes a success: run, backup, streams, copies and objects in one transaction, and only
//! for the epoch that did the work. A run with scripts on success gets its final state from `run_scripts`, after them; what
//! that state is stands in its row from this transaction on. A partial backup can therefore never be listed, restored or counted.

use super::run_execution::{RunExecution, json, step_name};
use crate::{StoreError, rows};
use holdfast_domain::ids::{BackupDestinationId, BackupTaskId};
use holdfast_domain::manifest::{Digest, Manifest, ManifestObject};
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::warning::{WarningCode, Warnings};
use holdfast_domain::{Failure, Step};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};

/// What an attempt brought home.
#[derive(Clone, Debug)]
pub struct RunSuccess<'a> {
    /// `Succeeded`, `SucceededWithWarnings` or `Partial`.
    pub status: RunStatus,
    /// The manifest that was written at every good destination.
    pub manifest: &'a Manifest,
    /// The run's warnings: the manifest's, and what was noticed after it.
    pub warnings: &'a Warnings,
    /// The final figures.
    pub progress: &'a Progress,
    /// From the first byte of the source to its end.
    pub transfer_ms: i64,
    /// One a destination, good or not.
    pub copies: Vec<NewCopy>,
}

/// The backup at one destination.
#[derive(Clone, Debug)]
pub struct NewCopy {
    /// Where.
    pub destination_id: i64,
    /// Its stored manifest; with the manifest's own objects this is all that lies there. Or why there is none.
    pub manifest_object: Result<ManifestObject, Failure>,
    /// 1: head, tail and random chunks were read back and authenticated.
    pub verified_level: i16,
}

impl RunExecution<'_> {
    /// Ends the run well. `false` when the lease is lost; then nothing was written.
    ///
    /// # Errors
    /// The database failed. After an error of the transaction's own commit the outcome is unknown: see
    /// [`RunExecution::is_committed`].
    pub async fn succeed(&self, success: &RunSuccess<'_>) -> Result<bool, StoreError> {
        let end = "UPDATE backup_runs SET status = $3, step = $4, progress = $5, transfer_ms = $6, warnings = $7,
                          warning_count = $8, completed_at = now(), lease_until = NULL,
                          error_code = NULL, error_message = NULL
                   WHERE id = $1 AND epoch = $2 AND status = 'verifying'";
        if !self.mark(end, success).await? {
            return Ok(false);
        }
        self.record_backup(success).await?;
        self.end_well(success.status).await?;
        Ok(true)
    }

    /// Records the backup of a run that still has scripts to run: it is there from now on, and the run can only end as
    /// `success` says, or with more warnings; see [`RunExecution::finish`]. `false` when the lease is lost; then nothing was
    /// written.
    ///
    /// # Errors
    /// As [`RunExecution::succeed`].
    pub async fn commit_backup(&self, success: &RunSuccess<'_>) -> Result<bool, StoreError> {
        let commit =
            "UPDATE backup_runs SET committed_as = $3, step = $4, progress = $5, transfer_ms = $6, warnings = $7,
                             warning_count = $8, error_code = NULL, error_message = NULL
                      WHERE id = $1 AND epoch = $2 AND status = 'verifying' AND committed_as IS NULL";
        if !self.mark(commit, success).await? {
            return Ok(false);
        }
        self.record_backup(success).await?;
        Ok(true)
    }

    /// Backup, streams, copies and objects.
    async fn record_backup(&self, success: &RunSuccess<'_>) -> Result<(), StoreError> {
        let run = self.row().await?;
        let backup_id = self.insert_backup(&run, success).await?;
        let stream_ids = self.insert_streams(backup_id, success.manifest).await?;
        for copy in &success.copies {
            self.insert_copy(backup_id, copy, success.manifest, &stream_ids).await?;
        }
        self.note_places(&success.copies).await?;
        let last = "UPDATE backup_tasks SET last_run_at = now() WHERE id = $1";
        self.tx.change(last, [run.backup_task_id.into()]).await?;
        self.tx.prunes().request(BackupTaskId(run.backup_task_id), Some(self.id)).await
    }

    /// What follows from a run's good end.
    pub(super) async fn end_well(&self, status: RunStatus) -> Result<(), StoreError> {
        self.end_attempt("succeeded", None).await?;
        let task = BackupTaskId(self.row().await?.backup_task_id);
        let is_success = matches!(status, RunStatus::Succeeded | RunStatus::SucceededWithWarnings);
        let ends_absence = is_success && self.tx.expectations().meet(task).await?;
        self.tx.tell_run_ended(self.id, ends_absence).await
    }

    /// What the run taught of its destinations.
    async fn note_places(&self, copies: &[NewCopy]) -> Result<(), StoreError> {
        let mut places: Vec<_> =
            copies.iter().map(|copy| (copy.destination_id, copy.manifest_object.as_ref())).collect();
        // In one order, so that two runs that end together do not wait for each other.
        places.sort_by_key(|(id, _)| *id);
        for (id, stored) in places {
            self.tx.reachability().note_place(BackupDestinationId(id), stored.map(drop)).await?;
        }
        Ok(())
    }

    /// Whether this epoch's success is in the database: what to ask when the connection broke at the commit. Waits for
    /// a commit that is still under way, so that the answer stays true.
    ///
    /// # Errors
    /// The database failed; nothing is known then.
    pub async fn is_committed(&self) -> Result<bool, StoreError> {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT epoch = $2 AND (status IN ('succeeded', 'succeeded_with_warnings', 'partial')
                                    OR committed_as IS NOT NULL) AS is_committed
             FROM backup_runs WHERE id = $1 FOR UPDATE",
            [self.id.0.into(), self.epoch.into()],
        );
        let row = self.tx.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "is_committed")).transpose()?.unwrap_or(false))
    }

    async fn mark(&self, sql: &'static str, success: &RunSuccess<'_>) -> Result<bool, StoreError> {
        let values = [
            self.id.0.into(),
            self.epoch.into(),
            success.status.as_str().into(),
            step_name(Step::Commit).into(),
            json(success.progress)?.into(),
            success.transfer_ms.into(),
            json(&success.warnings.kept)?.into(),
            bigint(success.warnings.count)?.into(),
        ];
        Ok(self.tx.change(sql, values).await? == 1)
    }

    async fn insert_backup(&self, run: &rows::backup_runs::Model, success: &RunSuccess<'_>) -> Result<i64, StoreError> {
        let manifest = success.manifest;
        let sum = |part: fn(&Digest) -> u64, of: fn(&holdfast_domain::manifest::ManifestStream) -> &Digest| {
            bigint(manifest.streams.iter().map(|s| part(of(s))).sum())
        };
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO backups (team_id, backup_task_id, backup_run_id, remote_server_id, task_label, encryption_mode,
                                  has_warnings, original_size, stored_size, nfiles, manifest, is_doubtful)
             SELECT team_id, id, $2, remote_server_id, $3, $4, $5, $6, $7, $8, $9, $10 FROM backup_tasks WHERE id = $1
             RETURNING id",
            [
                run.backup_task_id.into(),
                self.id.0.into(),
                manifest.task_label.as_str().into(),
                manifest.encryption.as_str().into(),
                (!success.warnings.is_empty()).into(),
                sum(|d| d.size_bytes, |s| &s.original)?.into(),
                sum(|d| d.size_bytes, |s| &s.stored)?.into(),
                bigint(manifest.streams.iter().map(|s| s.nfiles).sum())?.into(),
                json(manifest)?.into(),
                is_doubtful(success.warnings).into(),
            ],
        );
        let row = self.tx.conn().query_one_raw(statement).await?.ok_or_else(|| StoreError::Inconsistent {
            table: "backup_tasks",
            id: run.backup_task_id.to_string(),
            problem: "the row is gone".to_owned(),
        })?;
        Ok(row.try_get("", "id")?)
    }

    async fn insert_streams(&self, backup_id: i64, manifest: &Manifest) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::with_capacity(manifest.streams.len());
        for (position, stream) in (0..).zip(&manifest.streams) {
            let row = rows::backup_streams::ActiveModel {
                id: ActiveValue::NotSet,
                team_id: ActiveValue::Set(self.tx.team_id().0),
                backup_id: ActiveValue::Set(backup_id),
                position: ActiveValue::Set(position),
                name: ActiveValue::Set(stream.name.clone()),
                format: ActiveValue::Set(stream.format.clone()),
                original_size: ActiveValue::Set(bigint(stream.original.size_bytes)?),
                original_sha256: ActiveValue::Set(stream.original.sha256.clone()),
                stored_size: ActiveValue::Set(bigint(stream.stored.size_bytes)?),
                stored_sha256: ActiveValue::Set(stream.stored.sha256.clone()),
                nfiles: ActiveValue::Set(bigint(stream.nfiles)?),
            };
            let inserted = rows::backup_streams::Entity::insert(row).exec(self.tx.conn()).await?;
            ids.push(inserted.last_insert_id);
        }
        Ok(ids)
    }

    async fn insert_copy(
        &self,
        backup_id: i64,
        copy: &NewCopy,
        manifest: &Manifest,
        stream_ids: &[i64],
    ) -> Result<(), StoreError> {
        let failure = copy.manifest_object.as_ref().err();
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "INSERT INTO backup_copies (team_id, backup_id, backup_destination_id, state, verified_level, verified_at,
                                        error_code, error_message)
             VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NULL THEN NULL ELSE now() END, $6, $7) RETURNING id",
            [
                self.tx.team_id().0.into(),
                backup_id.into(),
                copy.destination_id.into(),
                if failure.is_none() { "committed" } else { "failed" }.into(),
                failure.is_none().then_some(copy.verified_level).into(),
                failure.map(|f| f.code.as_str()).into(),
                failure.map(ToString::to_string).into(),
            ],
        );
        let row = self.tx.conn().query_one_raw(statement).await?;
        let copy_id: i64 = row.map(|row| row.try_get("", "id")).transpose()?.unwrap_or_default();
        let Ok(manifest_object) = &copy.manifest_object else {
            return Ok(());
        };
        for (stream, id) in manifest.streams.iter().zip(stream_ids) {
            for (part, object) in (0..).zip(&stream.objects) {
                self.insert_object(copy, copy_id, (Some(*id), "stream", part), object).await?;
            }
            if let Some(index) = &stream.index {
                self.insert_object(copy, copy_id, (Some(*id), "index", 0), index).await?;
            }
        }
        self.insert_object(copy, copy_id, (None, "manifest", 0), manifest_object).await
    }

    async fn insert_object(
        &self,
        copy: &NewCopy,
        copy_id: i64,
        (stream_id, kind, part): (Option<i64>, &str, i32),
        object: &ManifestObject,
    ) -> Result<(), StoreError> {
        let row = rows::backup_copy_objects::ActiveModel {
            id: ActiveValue::NotSet,
            team_id: ActiveValue::Set(self.tx.team_id().0),
            backup_copy_id: ActiveValue::Set(copy_id),
            backup_stream_id: ActiveValue::Set(stream_id),
            kind: ActiveValue::Set(kind.to_owned()),
            part: ActiveValue::Set(part),
            name: ActiveValue::Set(object.name.clone()),
            size_bytes: ActiveValue::Set(bigint(object.digest.size_bytes)?),
            sha256: ActiveValue::Set(object.digest.sha256.clone()),
        };
        rows::backup_copy_objects::Entity::insert(row).exec(self.tx.conn()).await?;
        // From here on it belongs to a copy and is no leftover. One that was removed meanwhile makes the commit fail.
        use rows::backup_run_objects::{Column, Entity};
        let marked = Entity::update_many()
            .col_expr(Column::State, sea_orm::sea_query::Expr::value("committed"))
            .filter(Column::BackupRunId.eq(self.id.0))
            .filter(Column::Epoch.eq(self.epoch))
            .filter(Column::BackupDestinationId.eq(copy.destination_id))
            .filter(Column::Name.eq(object.name.clone()))
            .filter(Column::State.eq("writing"))
            .exec(self.tx.conn())
            .await?;
        if marked.rows_affected == 1 {
            return Ok(());
        }
        Err(StoreError::Inconsistent {
            table: "backup_run_objects",
            id: object.name.clone(),
            problem: "the object was not recorded, or was removed".to_owned(),
        })
    }
}

/// Whether it is so much smaller than those before it that it must not push them out.
fn is_doubtful(warnings: &Warnings) -> bool {
    warnings.kept.iter().any(|warning| warning.code == WarningCode::SizeDropped)
}

fn bigint(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Inconsistent {
        table: "backups",
        id: "(new)".to_owned(),
        problem: format!("{value} does not fit a bigint"),
    })
}
