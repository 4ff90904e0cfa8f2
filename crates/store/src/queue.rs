//! Puts items on the queue, in the transaction that makes them necessary. A job carries ids alone: the rows are the
//! truth and a job is a nudge, which the queue may deliver more than once. Nothing here may carry a secret or a name.
//!
//! The row is written here and not by the queue library, because sea-orm's transaction cannot be handed to it. A test
//! compares what this writes with what the library writes; the library's trigger on the table notifies the workers.

use crate::{Store, StoreError, TeamTx};
use holdfast_domain::ids::{
    AccountMailId, BackupCopyId, BackupRunId, BackupTaskId, DeliveryId, OwnBackupId, RestoreId,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgPoolOptions};

/// Queue of [`ExecuteRun`].
pub const EXECUTE_RUN: &str = "execute_run";
/// Queue of [`ExecuteRestore`].
pub const EXECUTE_RESTORE: &str = "execute_restore";
/// Queue of [`CopyBackup`].
pub const COPY_BACKUP: &str = "copy_backup";
/// Queue of [`PruneTask`].
pub const PRUNE_TASK: &str = "prune_task";
/// Queue of [`MakeOwnBackup`].
pub const MAKE_OWN_BACKUP: &str = "make_own_backup";
/// Queue of [`SendAccountMail`].
pub const SEND_ACCOUNT_MAIL: &str = "send_account_mail";

/// Queue of [`SendDelivery`].
pub const SEND_DELIVERY: &str = "send_delivery";

/// Where the library's trigger says that a job was put on a queue, which may be delivered at once.
const INSERTED: &str = "apalis::job::insert";

/// What the library writes for a job that says nothing about it. We never let it retry: a handler always returns Ok.
const LIBRARY_MAX_ATTEMPTS: i32 = 25;

/// Payload of a job that executes a backup run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteRun {
    /// Which.
    pub backup_run_id: BackupRunId,
}

/// Payload of a job that executes a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecuteRestore {
    /// Which.
    pub restore_id: RestoreId,
}

/// Payload of a job that makes a copy of a backup from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyBackup {
    /// Which.
    pub backup_copy_id: BackupCopyId,
}

/// Payload of a job that copies the product's own database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeOwnBackup {
    /// Which.
    pub own_backup_id: OwnBackupId,
}

/// Payload of a job that applies a task's retention rule and deletes what goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneTask {
    /// Which.
    pub backup_task_id: BackupTaskId,
}

/// Payload of a job that sends the mails about accounts that are due, of which this is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAccountMail {
    /// Which.
    pub account_mail_id: AccountMailId,
}

/// Payload of a job that sends one message to one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendDelivery {
    /// Which.
    pub delivery_id: DeliveryId,
}

/// An item of the queue: what to execute, and which attempt it would be (1 = the first).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// A backup run.
    ExecuteRun(BackupRunId, i32),
    /// A restore.
    ExecuteRestore(RestoreId, i32),
    /// A copy of a backup, and the epoch that its claim would get.
    CopyBackup(BackupCopyId, i32),
    /// A task's prune, and which request for it this is.
    PruneTask(BackupTaskId, i64),
    /// A copy of the product's own database; it has one attempt.
    MakeOwnBackup(OwnBackupId),
    /// A mail about an account.
    SendAccountMail(AccountMailId),
    /// A message, and the epoch that its claim would get.
    SendDelivery(DeliveryId, i32),
}

/// When a job may be delivered, and what else makes its key its own.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    delay_secs: f64,
    /// Tells a reconciler's repeated nudges apart.
    nudge: Option<i64>,
}

/// Hears of jobs that are put on a queue, on a connection of its own.
pub struct QueueListener(PgListener);

/// What the trigger says; there is more in it.
#[derive(Deserialize)]
struct Inserted {
    job_type: String,
}

impl Store {
    /// Begins to listen.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn queue_listener(&self) -> Result<QueueListener, StoreError> {
        // Not one of the pool's: that one would be lacking to everybody else for ever.
        let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options().clone());
        let mut listener = PgListener::connect_with(&own).await.map_err(StoreError::connect)?;
        listener.listen(INSERTED).await.map_err(StoreError::connect)?;
        Ok(QueueListener(listener))
    }
}

impl QueueListener {
    /// The queue on which the next job was put. `None`: the connection broke and is made anew, and what was said
    /// meanwhile is lost.
    ///
    /// # Errors
    /// The connection cannot be made anew now.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        let said = self.0.try_recv().await.map_err(StoreError::connect)?;
        // What is no message of the trigger is taken as a lost one.
        Ok(said.and_then(|said| serde_json::from_str::<Inserted>(said.payload()).ok()).map(|said| said.job_type))
    }
}

/// Enqueues `job` at once. An equal job (same id, same attempt) that is or was on the queue makes this do nothing.
///
/// # Errors
/// The database failed.
pub async fn enqueue(tx: &TeamTx, job: Job) -> Result<(), StoreError> {
    enqueue_on(tx.conn(), job).await
}

/// As [`enqueue`], where no team is known.
pub(crate) async fn enqueue_on(conn: &impl ConnectionTrait, job: Job) -> Result<(), StoreError> {
    insert(conn, job, Delivery::default()).await
}

/// Enqueues `job` so that it is delivered `delay_secs` from now (to the second, rounded up).
///
/// # Errors
/// The database failed.
pub async fn enqueue_after(tx: &TeamTx, job: Job, delay_secs: f64) -> Result<(), StoreError> {
    insert(tx.conn(), job, Delivery { delay_secs, nudge: None }).await
}

/// As [`enqueue`], of many jobs of one queue, where no team is known.
pub(crate) async fn enqueue_all(conn: &impl ConnectionTrait, jobs: &[Job]) -> Result<(), StoreError> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let queue = parts(*first).0;
    let (keys, payloads): (Vec<String>, Vec<Vec<u8>>) = jobs
        .iter()
        .map(|job| {
            let (_, id, attempt, payload) = parts(*job);
            (format!("{id}:{attempt}"), payload)
        })
        .unzip();
    let insert = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key)
         SELECT apalis.generate_ulid(), $1, p.job, 'Pending', 0, $2, to_timestamp(floor(extract(epoch FROM now()))), 0,
                ''::hstore, p.key
         FROM unnest($3::bytea[], $4::text[]) AS p (job, key)
         ON CONFLICT (job_type, idempotency_key) DO NOTHING",
        [queue.into(), LIBRARY_MAX_ATTEMPTS.into(), payloads.into(), keys.into()],
    );
    conn.execute_raw(insert).await?;
    Ok(())
}

/// Enqueues `job` again although the same attempt was delivered before, unless a job for the same row still waits to be
/// delivered: nudges must not pile up while every worker is busy. `bucket` tells one nudge from the next.
///
/// # Errors
/// The database failed.
pub async fn nudge(tx: &TeamTx, job: Job, bucket: i64) -> Result<(), StoreError> {
    let (queue, _, _, payload) = parts(job);
    // `Queued` is fetched and not started, which lasts milliseconds; longer, and the one who fetched it is dead.
    let waiting = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 AS one FROM apalis.jobs
         WHERE job_type = $1 AND job = $2 AND run_at <= now()
           AND (status = 'Pending' OR (status = 'Queued' AND lock_at > now() - interval '5 seconds')) LIMIT 1",
        [queue.into(), payload.into()],
    );
    if tx.conn().query_one_raw(waiting).await?.is_some() {
        return Ok(());
    }
    insert(tx.conn(), job, Delivery { delay_secs: 0.0, nudge: Some(bucket) }).await
}

/// Enqueues an attempt that was claimed with `epoch` and given back, to be delivered `delay_secs` from now. Its first job
/// is still unacknowledged on the queue; the epoch tells the two apart.
///
/// # Errors
/// The database failed.
pub async fn hand_over(tx: &TeamTx, job: Job, epoch: i32, delay_secs: f64) -> Result<(), StoreError> {
    insert(tx.conn(), job, Delivery { delay_secs, nudge: Some(i64::from(epoch)) }).await
}

async fn insert(conn: &impl ConnectionTrait, job: Job, delivery: Delivery) -> Result<(), StoreError> {
    let (queue, id, attempt, payload) = parts(job);
    let mut key = format!("{id}:{attempt}");
    if let Some(bucket) = delivery.nudge {
        key.push_str(&format!(":{bucket}"));
    }
    // Whole seconds, as the library writes them. `floor` for "now": the trigger only notifies when `run_at <= now()`.
    let insert = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, metadata, idempotency_key)
         VALUES (apalis.generate_ulid(), $1, $2, 'Pending', 0, $3,
                 to_timestamp(CASE WHEN $4 > 0 THEN ceil(extract(epoch FROM now()) + $4) ELSE floor(extract(epoch FROM now())) END),
                 0, ''::hstore, $5)
         ON CONFLICT (job_type, idempotency_key) DO NOTHING",
        [queue.into(), payload.into(), LIBRARY_MAX_ATTEMPTS.into(), delivery.delay_secs.into(), key.into()],
    );
    conn.execute_raw(insert).await?;
    Ok(())
}

/// Queue, id, attempt and payload.
fn parts(job: Job) -> (&'static str, i64, i64, Vec<u8>) {
    let (queue, id, attempt, payload) = match job {
        Job::ExecuteRun(id, attempt) => {
            (EXECUTE_RUN, id.0, i64::from(attempt), serde_json::to_vec(&ExecuteRun { backup_run_id: id }))
        }
        Job::ExecuteRestore(id, attempt) => {
            (EXECUTE_RESTORE, id.0, i64::from(attempt), serde_json::to_vec(&ExecuteRestore { restore_id: id }))
        }
        Job::PruneTask(id, request) => {
            (PRUNE_TASK, id.0, request, serde_json::to_vec(&PruneTask { backup_task_id: id }))
        }
        Job::CopyBackup(id, epoch) => {
            (COPY_BACKUP, id.0, i64::from(epoch), serde_json::to_vec(&CopyBackup { backup_copy_id: id }))
        }
        Job::SendAccountMail(id) => {
            (SEND_ACCOUNT_MAIL, id.0, 1, serde_json::to_vec(&SendAccountMail { account_mail_id: id }))
        }
        Job::SendDelivery(id, epoch) => {
            (SEND_DELIVERY, id.0, i64::from(epoch), serde_json::to_vec(&SendDelivery { delivery_id: id }))
        }
        Job::MakeOwnBackup(id) => (MAKE_OWN_BACKUP, id.0, 1, serde_json::to_vec(&MakeOwnBackup { own_backup_id: id })),
    };
    (queue, id, attempt, payload.expect("a struct of one integer serialises"))
}
