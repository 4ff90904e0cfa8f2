//! `POST /api/backups/{id}/restore`

mod body;

use crate::extract::id::{MAX_ID, found};
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::texts;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use body::Body;
use holdfast_domain::ids::{BackupCopyId, BackupId, RemoteServerId, RestoreId};
use holdfast_domain::manifest::Manifest;
use holdfast_domain::restore::{ExistingPolicy, RestoreSpec, RestoreTo};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::backups::BackupParts;
use holdfast_store::repositories::restores::NewRestore;
use holdfast_store::{TeamTx, rows};
use holdfast_vault::SealedColumn;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Why a backup cannot be restored as asked.
enum Refusal {
    OnlyOwnKeys,
    NoCopy,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OnlyOwnKeys => Self::conflict(
                "recipients_only",
                "This backup is encrypted to the team's own keys alone, so Holdfast cannot read it. Download it and \
                 open it with `age`.",
            ),
            Refusal::NoCopy => Self::conflict("no_copy", "No committed copy of this backup is left."),
        }
    }
}

/// The restore was accepted.
#[derive(Serialize, ToSchema)]
pub struct RestoreStarted {
    id: i64,
    status: String,
}

/// What of a backup is there, as far as a restore asks.
struct Holdings<'a> {
    backup: &'a rows::backups::Model,
    parts: &'a BackupParts,
}

/// Gives a backup back, to the same or another server: files whole or some paths of them to a path, a database's dump to
/// a database.
#[utoipa::path(post, path = "/api/backups/{id}/restore", tag = "backups", params(("id" = u64, Path)),
    request_body = Body,
    responses((status = 202, body = Data<RestoreStarted>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn restore_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::RestoreBackups>,
    Id(id): Id<BackupId>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<RestoreStarted>>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let backup = found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    let body = Body::read(&mut fields);
    fields.finish()?;
    let spec = body.spec().ok_or_else(|| Problem::internal_text("a body that passed the check names no target"))?;
    let server = target_server(&tx, &body).await?;
    Holdings { backup: &backup, parts: &parts }.check(&body, &spec, server.as_ref())?;
    refuse(&backup, &parts)?;
    let Some(server) = server else { return Err(Problem::internal_text("a server that passed the check is gone")) };
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let database_password = body.target.as_ref().and_then(|target| target.password.as_deref());
    let new = NewRestore {
        user_id: Some(auth.user_id),
        backup_id: id,
        backup_copy_id: body.copy_id.map(BackupCopyId),
        remote_server_id: RemoteServerId(server.id),
        spec,
        seal_id: seal.seal_id(),
        sealed_password: seal.seal(SealedColumn::RestorePassword, body.password.as_deref()).await?,
        sealed_database_password: seal.seal(SealedColumn::RestoreDatabasePassword, database_password).await?,
    };
    let details = audited(&server, &new.spec);
    let row = tx.restores().create_queued(new, state.now()).await?;
    queue::enqueue(&tx, Job::ExecuteRestore(RestoreId(row.id), 1)).await?;
    tx.audit_events().record("backup.restore", &format!("backups:{id}"), details).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, data(RestoreStarted { id: row.id, status: row.status })))
}

/// Where to and how, for the audit.
fn audited(server: &rows::remote_servers::Model, spec: &RestoreSpec) -> serde_json::Value {
    let may_change = spec.existing == ExistingPolicy::Overwrite;
    match &spec.target {
        RestoreTo::Path { path } => {
            json!({"remote_server": server.id, "path": path, "overwrite": may_change, "dry_run": spec.dry_run})
        }
        RestoreTo::Database(to) => json!({
            "remote_server": server.id, "database": to.database, "host": to.host, "port": to.port,
            "username": to.username, "overwrite": may_change, "dry_run": spec.dry_run,
        }),
    }
}

async fn target_server(tx: &TeamTx, body: &Body) -> Result<Option<rows::remote_servers::Model>, Problem> {
    match body.target.as_ref().and_then(|target| target.remote_server_id) {
        Some(id) if (1..=MAX_ID).contains(&id) => Ok(tx.remote_servers().find(RemoteServerId(id)).await?),
        _ => Ok(None),
    }
}

impl Holdings<'_> {
    /// Everything that the body names must be the team's and this backup's, and must fit together.
    fn check(
        &self,
        body: &Body,
        spec: &RestoreSpec,
        server: Option<&rows::remote_servers::Model>,
    ) -> Result<(), Problem> {
        let mut errors = FieldErrors::default();
        match server {
            None => errors.push("target.remote_server_id", "The selected remote server is invalid.".to_owned()),
            Some(server) => confirmed(body, spec, server, &mut errors),
        }
        for (position, name) in spec.streams.iter().enumerate() {
            if !self.parts.streams.iter().any(|stream| stream.name == *name) {
                let field = format!("streams.{position}");
                errors.push(&field, texts::selected(&field));
            }
        }
        if errors.is_empty() {
            self.one_fitting_stream(spec, &mut errors);
        }
        let is_copy = |id: i64| self.parts.copies.iter().any(|copy| copy.id == id && copy.state == "committed");
        if body.copy_id.is_some_and(|id| !is_copy(id)) {
            errors.push("copy_id", "The selected copy is invalid.".to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
    }

    /// A path takes one file tree, a database takes one database's dump.
    fn one_fitting_stream(&self, spec: &RestoreSpec, errors: &mut FieldErrors) {
        let is_wanted = |name: &String| spec.streams.is_empty() || spec.streams.contains(name);
        let mut wanted = self.parts.streams.iter().filter(|stream| is_wanted(&stream.name));
        let (Some(stream), None) = (wanted.next(), wanted.next()) else {
            errors.push("streams", "The streams field must name one stream of this backup.".to_owned());
            return;
        };
        let is_tree = stream.format == "tar";
        match &spec.target {
            RestoreTo::Path { .. } if !is_tree => {
                errors.push("target.path", "A database is restored to target.database, not to a path.".to_owned());
            }
            RestoreTo::Database(_) if is_tree => {
                errors.push("target.database", "A backup of files goes to target.path, not to a database.".to_owned());
            }
            RestoreTo::Database(_) if self.is_globals(stream) => {
                let text = "Roles and tablespaces are not restored by this call: download the stream and run it with \
                            `psql`, after reading it.";
                errors.push("streams", text.to_owned());
            }
            RestoreTo::Path { .. } | RestoreTo::Database(_) => {}
        }
    }

    /// Whether a stream holds what belongs to no single database.
    fn is_globals(&self, stream: &rows::backup_streams::Model) -> bool {
        let manifest = serde_json::from_value::<Manifest>(self.backup.manifest.clone()).ok();
        let position = usize::try_from(stream.position).unwrap_or(usize::MAX);
        manifest.and_then(|m| m.streams.into_iter().nth(position)).is_some_and(|s| s.database.is_none())
    }
}

/// Only changing what exists needs a confirmation: the other policies leave it as it is. Whoever confirms a database must
/// have meant this one.
fn confirmed(body: &Body, spec: &RestoreSpec, server: &rows::remote_servers::Model, errors: &mut FieldErrors) {
    if spec.existing != ExistingPolicy::Overwrite {
        return;
    }
    let expected = format!("{}:{}", server.host, spec.target_name());
    if body.confirm.as_deref() != Some(expected.as_str()) {
        let text = match spec.target {
            RestoreTo::Path { .. } => {
                "The confirm field must be <host>:<path> of the target, because files there are replaced."
            }
            RestoreTo::Database(_) => {
                "The confirm field must be <host>:<database> of the target, because what is in it is replaced."
            }
        };
        errors.push("confirm", text.to_owned());
    }
}

fn refuse(backup: &rows::backups::Model, parts: &BackupParts) -> Result<(), Problem> {
    if backup.encryption_mode == "recipients" {
        return Err(Refusal::OnlyOwnKeys.into());
    }
    if parts.copies.iter().any(|copy| copy.state == "committed") { Ok(()) } else { Err(Refusal::NoCopy.into()) }
}
