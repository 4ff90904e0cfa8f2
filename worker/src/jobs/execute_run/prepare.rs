//! Before a byte moves: the definition as it is now, its secrets, its destinations, and the connection.

use super::attempt::Attempt;
use crate::{places, secrets, server};
use holdfast_destinations::Destination;
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::names::ObjectNames;
use holdfast_domain::run::RunStatus;
use holdfast_domain::source::{EncryptionMode, FilesSpec, SourceSpec};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::Encryption;
use holdfast_remote::{Peer, Session};
use holdfast_store::repositories::run_inputs::RunInputs;
use holdfast_store::{TeamTx, rows};
use holdfast_vault::team_keys::TeamKeyPurpose;
use std::sync::Arc;

/// Everything that is decided before the connection.
pub(super) struct Prepared {
    pub(super) inputs: RunInputs,
    pub(super) source: SourceSpec,
    pub(super) mode: EncryptionMode,
    pub(super) encryption: Encryption,
    pub(super) places: Vec<Place>,
    peer: Peer,
}

/// One destination, or why it takes nothing.
pub(super) struct Place {
    pub(super) row: rows::backup_destinations::Model,
    pub(super) destination: Result<Arc<dyn Destination>, Failure>,
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
        format!("{}@{}:{}", self.peer.username, self.peer.host, self.peer.port)
    }

    /// The files to read.
    pub(super) fn files(&self) -> Result<&FilesSpec, Failure> {
        match &self.source {
            SourceSpec::Files(files) => Ok(files),
            SourceSpec::Database(_) => Err(invalid("Tasks of type `database` are stored but cannot be run yet.")),
        }
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
    check_usable(&inputs)?;
    attempt.journal.expect(inputs.usual_sizes.first().and_then(|size| u64::try_from(*size).ok()));
    let source: SourceSpec = serde_json::from_value(inputs.task.source.clone())
        .map_err(|error| invalid(&format!("The task's source cannot be read: {error}.")))?;
    let mode: EncryptionMode = inputs.task.encryption_mode.parse().map_err(|error: String| invalid(&error))?;
    let context = &attempt.context;
    let tx = context.store.for_team(&attempt.access).await.map_err(|e| secrets::store_failure(Step::Prepare, &e))?;
    let encryption = encryption(attempt, &tx, &inputs.task, mode).await?;
    let peer = secrets::server_peer(context, &tx, &inputs.server, Some(&inputs.task)).await?;
    tx.commit().await.map_err(|e| secrets::store_failure(Step::Prepare, &e))?;
    let places = open_places(attempt, &inputs)?;
    let prepared = Prepared { inputs, source, mode, encryption, places, peer };
    prepared.files()?;
    Ok(prepared)
}

/// Connects and logs in.
pub(super) async fn connect(attempt: &Attempt, prepared: &Prepared) -> Result<Session, Failure> {
    attempt.enter(RunStatus::Running, Step::Connect).await?;
    attempt.say(format!("Connecting to {}.", prepared.origin()));
    let (context, row) = (&attempt.context, &prepared.inputs.server);
    let connecting = server::connect(context, &attempt.access, row, &prepared.peer);
    let session = attempt.lease.guard(Step::Connect, connecting).await?;
    attempt.say("The server showed its confirmed host key; logged in.");
    Ok(session)
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

fn open_places(attempt: &Attempt, inputs: &RunInputs) -> Result<Vec<Place>, Failure> {
    let open = |row: &rows::backup_destinations::Model| {
        if row.deleted_at.is_some() {
            let gone = format!("The destination {:?} was deleted.", row.label);
            return Err(Failure::new(Step::Prepare, FailureCode::NotAuthorised, gone));
        }
        places::open_destination(&attempt.context, inputs.team.uuid, row)
    };
    let places: Vec<Place> =
        inputs.destinations.iter().map(|row| Place { row: row.clone(), destination: open(row) }).collect();
    if places.iter().any(|place| place.destination.is_ok()) {
        return Ok(places);
    }
    let first = places.into_iter().find_map(|place| place.destination.err());
    Err(first.unwrap_or_else(|| invalid("The task has no destination.")))
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
