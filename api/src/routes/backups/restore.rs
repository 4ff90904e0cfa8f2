//! `POST /api/backups/{id}/restore`

use crate::extract::id::{MAX_ID, found};
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::{Fields, Presence, texts};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::{BackupCopyId, BackupId, RemoteServerId, RestoreId};
use holdfast_domain::paths;
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout, RestoreSpec};
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::backups::BackupParts;
use holdfast_store::repositories::restores::NewRestore;
use holdfast_store::{TeamTx, rows};
use holdfast_vault::SealedColumn;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Paths of one restore at most.
const PATHS_MAX: usize = 1_000;
/// Streams of one restore at most.
const STREAMS_MAX: usize = 1_000;

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

/// What to give back, and where to.
#[derive(Default, ToSchema)]
#[schema(as = RestoreRequest)]
pub(crate) struct Body {
    target: Option<Target>,
    /// Names; empty = all.
    streams: Option<Vec<String>>,
    /// Absolute, as they were on the source; empty = all. A folder means all below it.
    paths: Option<Vec<String>>,
    /// `keep_path` (default): `/new/var/www/a`; `contents_only`: `/new/a`.
    layout: Option<String>,
    /// What to do with what exists: `refuse` (default), `skip`, `overwrite`.
    existing: Option<String>,
    /// Set owners; needs root there.
    restore_owners: Option<bool>,
    /// `<host>:<path>`: only where something existing would be replaced.
    confirm: Option<String>,
    /// A copy of this backup; by default the best verified one.
    copy_id: Option<i64>,
    /// Write-only: of a backup in mode `password`; by default the task's.
    password: Option<String>,
    /// Do everything except write to the target.
    dry_run: Option<bool>,
}

/// Where to.
#[derive(Default, ToSchema)]
pub(crate) struct Target {
    remote_server_id: Option<i64>,
    /// Absolute.
    path: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let exact = |raw: &str| Ok::<_, std::convert::Infallible>(raw.to_owned());
        let body = Self {
            target: fields.object("target", Presence::Required, Target::read),
            streams: fields.strings("streams", Presence::Optional, STREAMS_MAX, exact),
            paths: fields.strings("paths", Presence::Optional, PATHS_MAX, paths::absolute),
            layout: fields.one_of("layout", Presence::Optional, &["keep_path", "contents_only"]),
            existing: fields.one_of("existing", Presence::Optional, &["refuse", "skip", "overwrite"]),
            restore_owners: fields.boolean("restore_owners", Presence::Optional),
            confirm: fields.parsed("confirm", Presence::Optional, exact),
            copy_id: fields.integer("copy_id", Presence::Optional),
            password: fields.secret("password", Presence::Optional, false),
            dry_run: fields.boolean("dry_run", Presence::Optional),
        };
        fields.refuse_unknown();
        body
    }

    fn spec(&self, path: String) -> RestoreSpec {
        RestoreSpec {
            path,
            streams: self.streams.clone().unwrap_or_default(),
            paths: self.paths.clone().unwrap_or_default(),
            layout: match self.layout.as_deref() {
                Some("contents_only") => RestoreLayout::ContentsOnly,
                _ => RestoreLayout::KeepPath,
            },
            existing: match self.existing.as_deref() {
                Some("skip") => ExistingPolicy::Skip,
                Some("overwrite") => ExistingPolicy::Overwrite,
                _ => ExistingPolicy::Refuse,
            },
            restore_owners: self.restore_owners.unwrap_or(false),
            dry_run: self.dry_run.unwrap_or(false),
        }
    }
}

impl Target {
    fn read(fields: &mut Fields) -> Self {
        let target = Self {
            remote_server_id: fields.integer("remote_server_id", Presence::Required),
            path: fields.parsed("path", Presence::Required, paths::absolute),
        };
        if fields.filled("database") {
            fields.string("database", Presence::Optional);
            fields.fail_invalid("database", &"a backup of files goes to a path");
        }
        fields.refuse_unknown();
        target
    }
}

/// The restore was accepted.
#[derive(Serialize, ToSchema)]
pub struct RestoreStarted {
    id: i64,
    status: String,
}

/// Gives a backup back: whole or some paths, to the same or another server and path.
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
    let path = body.target.as_ref().and_then(|target| target.path.clone()).unwrap_or_default();
    let spec = body.spec(path);
    let server = target_server(&tx, &body).await?;
    check(&body, &spec, &parts, server.as_ref())?;
    refuse(&backup, &parts)?;
    let Some(server) = server else { return Err(Problem::internal_text("a server that passed the check is gone")) };
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let new = NewRestore {
        user_id: Some(auth.user_id),
        backup_id: id,
        backup_copy_id: body.copy_id.map(BackupCopyId),
        remote_server_id: RemoteServerId(server.id),
        spec,
        seal_id: seal.seal_id(),
        sealed_password: seal.seal(SealedColumn::RestorePassword, body.password.as_deref()).await?,
    };
    let details = json!({"remote_server": server.id, "path": new.spec.path, "dry_run": new.spec.dry_run});
    let row = tx.restores().create_queued(new, state.now()).await?;
    queue::enqueue(&tx, Job::ExecuteRestore(RestoreId(row.id), 1)).await?;
    tx.audit_events().record("backup.restore", &format!("backups:{id}"), details).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, data(RestoreStarted { id: row.id, status: row.status })))
}

async fn target_server(tx: &TeamTx, body: &Body) -> Result<Option<rows::remote_servers::Model>, Problem> {
    match body.target.as_ref().and_then(|target| target.remote_server_id) {
        Some(id) if (1..=MAX_ID).contains(&id) => Ok(tx.remote_servers().find(RemoteServerId(id)).await?),
        _ => Ok(None),
    }
}

/// Everything that the body names must be the team's and this backup's.
fn check(
    body: &Body,
    spec: &RestoreSpec,
    parts: &BackupParts,
    server: Option<&rows::remote_servers::Model>,
) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    match server {
        None => errors.push("target.remote_server_id", "The selected remote server is invalid.".to_owned()),
        // Only replacing needs a confirmation: the other policies leave what exists as it is.
        Some(server) if spec.existing == ExistingPolicy::Overwrite => {
            let expected = format!("{}:{}", server.host, spec.path);
            if body.confirm.as_deref() != Some(expected.as_str()) {
                let text = "The confirm field must be <host>:<path> of the target, because files there are replaced.";
                errors.push("confirm", text.to_owned());
            }
        }
        Some(_) => {}
    }
    for (position, name) in spec.streams.iter().enumerate() {
        if !parts.streams.iter().any(|stream| stream.name == *name) {
            let field = format!("streams.{position}");
            errors.push(&field, texts::selected(&field));
        }
    }
    let is_copy = |id: i64| parts.copies.iter().any(|copy| copy.id == id && copy.state == "committed");
    if body.copy_id.is_some_and(|id| !is_copy(id)) {
        errors.push("copy_id", "The selected copy is invalid.".to_owned());
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

fn refuse(backup: &rows::backups::Model, parts: &BackupParts) -> Result<(), Problem> {
    if backup.encryption_mode == "recipients" {
        return Err(Refusal::OnlyOwnKeys.into());
    }
    if parts.copies.iter().any(|copy| copy.state == "committed") { Ok(()) } else { Err(Refusal::NoCopy.into()) }
}
