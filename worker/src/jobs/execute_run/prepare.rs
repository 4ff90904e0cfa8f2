//! Before a byte moves: the definition as it is now, its secrets, its destinations, and the connection.

use super::attempt::Attempt;
use super::destinations::{self, Place};
use super::scripts::RunScripts;
use crate::server::Way;
use crate::{database_login, secrets, server};
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::names::ObjectNames;
use holdfast_domain::run::RunStatus;
use holdfast_domain::source::{EncryptionMode, SourceSpec};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::Encryption;
use holdfast_remote::Session;
use holdfast_sources::database::DatabaseLogin;
use holdfast_store::repositories::run_inputs::RunInputs;
use holdfast_store::{TeamTx, rows};
use holdfast_vault::team_keys::TeamKeyPurpose;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is decided before the connection.
pub(super) struct Prepared {
    pub(super) inputs: RunInputs,
    pub(super) source: SourceSpec,
    pub(super) mode: EncryptionMode,
    pub(super) encryption: Encryption,
    /// How the databases are logged in to, where the source is one.
    pub(super) database_login: Option<DatabaseLogin>,
    pub(super) places: Vec<Place>,
    way: Arc<Way>,
}

impl Prepared {
    /// Names of this attempt's objects.
    pub(super) fn names(&self, epoch: i32) -> ObjectNames<'_> {
        ObjectNames {
            store_path: self.inputs.task.store_path.as_deref(),
            appended_filename: self.inputs.task.appended_filename.as_deref(),
            task: BackupTaskId(self.inputs.task.id),
            at: self.inputs.run.created_at,
            run_ulid: &self.inputs.run.ulid,
            epoch,
        }
    }

    /// `user@host:port`.
    pub(super) fn origin(&self) -> String {
        let peer = &self.way.route.peer;
        format!("{}@{}:{}", peer.username, peer.host, peer.port)
    }

    /// age recipients, for the manifest.
    pub(super) fn recipients(&self) -> Vec<String> {
        match &self.encryption {
            Encryption::Recipients(keys) => keys.clone(),
            Encryption::None | Encryption::Password(_) => Vec::new(),
        }
    }
}

/// Reads the definition and opens what it needs.
pub(super) async fn prepare(attempt: &Attempt) -> Result<Prepared, Failure> {
    let id = attempt.run_id;
    let inputs = attempt.in_tx(Step::Prepare, move |tx| Box::pin(tx.run_inputs(id))).await?;
    limit_time(attempt, &inputs)?;
    check_usable(&inputs)?;
    attempt.journal.expect(inputs.usual_sizes.first().and_then(|size| u64::try_from(*size).ok()));
    let source: SourceSpec = serde_json::from_value(inputs.task.source.clone())
        .map_err(|error| invalid(&format!("The task's source cannot be read: {error}.")))?;
    let mode: EncryptionMode = inputs.task.encryption_mode.parse().map_err(|error: String| invalid(&error))?;
    let context = &attempt.context;
    let tx = context.store.for_team(&attempt.access).await.map_err(|e| secrets::store_failure(Step::Prepare, &e))?;
    let encryption = encryption(attempt, &tx, &inputs.task, mode).await?;
    let way = Arc::new(secrets::server_way(context, &tx, &inputs.server, Some(&inputs.task)).await?);
    tx.commit().await.map_err(|e| secrets::store_failure(Step::Prepare, &e))?;
    let scripts = RunScripts::of(&inputs, Arc::clone(&way), attempt.number)?;
    let database_login = match &source {
        SourceSpec::Files(_) => None,
        SourceSpec::Database(spec) => Some(database_login::of_task(context, &inputs.server, &inputs.task, spec)?),
    };
    let places = destinations::open(attempt, &inputs).await?;
    if !inputs.scripts.is_empty() || inputs.run.scripts_owed_at.is_some() {
        attempt.scripts.get_or_init(|| scripts);
    }
    Ok(Prepared { inputs, source, mode, encryption, database_login, places, way })
}

/// Connects and logs in.
pub(super) async fn connect(attempt: &Attempt, prepared: &Prepared) -> Result<Session, Failure> {
    attempt.enter(RunStatus::Running, Step::Connect).await?;
    let jumps = &prepared.way.route.jumps;
    let through: Vec<String> = jumps.iter().map(|jump| format!("{}:{}", jump.host, jump.port)).collect();
    attempt.say(match through.is_empty() {
        true => format!("Connecting to {}.", prepared.origin()),
        false => format!("Connecting to {} through {}.", prepared.origin(), through.join(", ")),
    });
    let (context, row) = (&attempt.context, &prepared.inputs.server);
    let connecting = server::connect(context, &attempt.access, row, &prepared.way);
    let session = attempt.lease.guard(Step::Connect, connecting).await?;
    attempt.say("The server showed its confirmed host key; logged in.");
    Ok(session)
}

/// From here on the lease's keeper ends what takes too long. All attempts together count, so that a run that is slow
/// and dies, again and again, ends too.
fn limit_time(attempt: &Attempt, inputs: &RunInputs) -> Result<(), Failure> {
    let most = attempt.context.config.worker.max_run;
    let own = inputs.task.max_duration_secs.and_then(|secs| u64::try_from(secs).ok()).map(Duration::from_secs);
    let limit = own.map_or(most, |own| own.min(most));
    let elapsed = Duration::try_from_secs_f64(inputs.elapsed_secs.max(0.0)).unwrap_or(limit);
    match limit.checked_sub(elapsed).filter(|left| !left.is_zero()) {
        Some(left) => {
            attempt.lease.end_within(left, limit);
            Ok(())
        }
        None => {
            let detail = format!("It took longer than the {} s that it may take.", limit.as_secs());
            Err(Failure::new(Step::Prepare, FailureCode::TimedOut, detail))
        }
    }
}

/// What was removed or suspended after the run was queued is not touched any more.
fn check_usable(inputs: &RunInputs) -> Result<(), Failure> {
    let refused = |what: &str| Failure::new(Step::Prepare, FailureCode::NotAuthorised, what);
    if inputs.team.suspended_at.is_some() {
        return Err(refused("The team is suspended."));
    }
    if inputs.task.deleted_at.is_some() {
        return Err(refused("The task was deleted."));
    }
    if inputs.server.deleted_at.is_some() {
        return Err(refused("The server was deleted."));
    }
    Ok(())
}

async fn encryption(
    attempt: &Attempt,
    tx: &TeamTx,
    task: &rows::backup_tasks::Model,
    mode: EncryptionMode,
) -> Result<Encryption, Failure> {
    let added = task.encryption_recipients.clone();
    Ok(match mode {
        EncryptionMode::None => Encryption::None,
        EncryptionMode::Password => Encryption::Password(secrets::task_encryption_password(&attempt.context, task)?),
        EncryptionMode::Recipients => Encryption::Recipients(added),
        EncryptionMode::Managed => {
            let ours = secrets::team_key_row(tx, TeamKeyPurpose::Age, None).await?.public;
            Encryption::Recipients(std::iter::once(ours).chain(added).collect())
        }
    })
}

fn invalid(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}
