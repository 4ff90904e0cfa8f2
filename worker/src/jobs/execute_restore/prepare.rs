//! What an attempt must know before it reads or connects: read anew for every attempt, because a server, a password or
//! the backup itself may have changed or gone since the restore was asked for.

use super::{Job, Stop};
use crate::server::Way;
use crate::{copy_reader, secrets};
use holdfast_domain::ids::{BackupId, RemoteServerId};
use holdfast_domain::restore::RestoreSpec;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::DecryptKey;
use holdfast_store::repositories::copies::{BackupToRead, CopyToRead};
use holdfast_store::rows;

/// Everything an attempt works from.
pub struct Prepared {
    /// The restore's row, for what is sealed in it.
    pub row: rows::restores::Model,
    /// What was asked for.
    pub spec: RestoreSpec,
    /// The backup.
    pub backup: BackupToRead,
    /// What opens it.
    pub key: DecryptKey,
    /// The target.
    pub server: rows::remote_servers::Model,
    /// The way there.
    pub way: Way,
}

impl Prepared {
    /// The copies to be tried, in order.
    pub fn copies(&self) -> impl Iterator<Item = &CopyToRead> {
        self.backup.copies.iter().filter(|c| self.row.backup_copy_id.is_none_or(|id| id == c.copy.id))
    }
}

/// Reads the restore, its backup and its target, and opens the secrets for them.
pub async fn prepare(job: &Job) -> Result<Prepared, Stop> {
    let context = job.context.as_ref();
    let tx = context.store.for_team(&job.access).await?;
    let row = tx.restore_execution(job.id, job.epoch).load().await?;
    let row = row.ok_or_else(|| job.lease.failure(Step::Prepare))?;
    job.gauge.go_on_from(serde_json::from_value(row.progress.clone()).unwrap_or_default());
    if row.target_touched {
        job.was_touched();
    }
    let team = tx.sealed().team().await?;
    let server = tx.server_contact(RemoteServerId(row.remote_server_id)).load().await?;
    let backup = tx.copies().of(BackupId(row.backup_id)).await?;
    if team.suspended_at.is_some() {
        return Err(gone("The team is suspended.").into());
    }
    let server = server.ok_or_else(|| gone("The target server was deleted."))?;
    let backup = backup.ok_or_else(|| gone("The backup was deleted."))?;
    let spec: RestoreSpec = serde_json::from_value(row.spec.clone())
        .map_err(|_| Failure::new(Step::Prepare, FailureCode::InvalidConfig, "The stored restore cannot be read."))?;
    let password = match &row.sealed_password {
        Some(_) => Some(secrets::restore_password(context, &row)?),
        None => None,
    };
    let key = copy_reader::decrypt_key(context, &tx, &backup, password).await?;
    // The task's own log-in was given for the task's server; another server must never see it.
    let own_log_in = (backup.task.remote_server_id == server.id).then_some(&backup.task);
    let way = secrets::server_way(context, &tx, &server, own_log_in).await?;
    tx.commit().await?;
    Ok(Prepared { row, spec, backup, key, server, way })
}

fn gone(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::NotAuthorised, detail)
}
