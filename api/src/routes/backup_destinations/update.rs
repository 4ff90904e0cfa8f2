//! `PUT /api/backup-destinations/{id}`
//!
//! Stored keys belong to the endpoint, region and bucket they were given for: see `remote_servers::update`. A place where
//! backups lie never becomes another one.

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::routes::at_once::AtOnceBody;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::{Mode, texts};
use crate::views::backup_destination::{BackupDestinationView, DestinationConfig};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_store::{Changes, rows};
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Changes what is sent. Another type, endpoint, region or bucket needs both keys again (422 without).
#[utoipa::path(put, path = "/api/backup-destinations/{id}", tag = "backup-destinations", params(("id" = u64, Path)),
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<BackupDestinationView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_backup_destination(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupDestinations>,
    Id(id): Id<BackupDestinationId>,
    PageBody(fields): PageBody,
) -> Result<Json<Data<BackupDestinationView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<BackupDestinationId, _>(tx.backup_destinations().find_for_update(id).await?)?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields, Some(&row.r#type));
    fields.finish()?;
    let kind = body.kind.clone().unwrap_or_else(|| row.r#type.clone());
    let before: DestinationConfig = serde_json::from_value(row.config.clone()).unwrap_or_default();
    let config = body.config(&kind, before.clone());
    let is_other_place = kind != row.r#type || place(&config) != place(&before);
    if is_other_place && tx.backups().has_copies_at(id).await? {
        return Err(Problem::conflict(
            "has_backups",
            "Backups lie at this destination, so its type, endpoint, region and bucket cannot change. Register another \
             destination instead.",
        ));
    }
    refuse_strangers(&row, &kind, is_other_place, &body)?;
    let stored = row.clone();
    let mut seal = RowSeal::new(&state, auth.access.team_id(), row.seal_id);
    if let Some(key) = body.s3_access_key.as_deref() {
        row.sealed_access_key = seal.seal(SealedColumn::DestinationAccessKey, Some(key)).await?;
    }
    if let Some(key) = body.s3_secret_key.as_deref() {
        row.sealed_secret_key = seal.seal(SealedColumn::DestinationSecretKey, Some(key)).await?;
    }
    if kind == "local" {
        row.sealed_access_key = None;
        row.sealed_secret_key = None;
    }
    row.runs_at_once = AtOnceBody::runs(body.limits.as_ref(), row.runs_at_once);
    row.label = body.label.unwrap_or(row.label);
    row.config = serde_json::to_value(config).map_err(|e| Problem::internal(&e))?;
    row.r#type = kind;
    row.updated_at = state.now();
    let row = tx.backup_destinations().save(row).await?;
    let view = BackupDestinationView::of(row.clone());
    let changes = Changes::between(&BackupDestinationView::of(stored.clone()), &view);
    let changes = secrets(changes, Some(&stored), Some(&row), SECRETS);
    let subject = format!("backup_destinations:{id}");
    tx.audit_events().record_change("backup_destination.update", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

/// What makes it another place: a backup's object that is not there must not be taken for deleted, and stored keys must not
/// go there. The style of addresses does not: with the bucket in the host's name it is the same endpoint's.
fn place(config: &DestinationConfig) -> [Option<&str>; 3] {
    [&config.bucket, &config.region, &config.endpoint].map(Option::as_deref)
}

/// 422 where a stored key would go to another peer, or a needed one is missing.
fn refuse_strangers(
    row: &rows::backup_destinations::Model,
    kind: &str,
    is_other_place: bool,
    body: &Body,
) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    if kind == "local" {
        return Ok(());
    }
    for (field, is_stored, is_sent) in [
        ("s3_access_key", row.sealed_access_key.is_some(), body.s3_access_key.is_some()),
        ("s3_secret_key", row.sealed_secret_key.is_some(), body.s3_secret_key.is_some()),
    ] {
        if is_stored && is_other_place && !is_sent {
            let name = texts::attribute(field);
            let text = format!("The {name} field must be entered again when type, endpoint, region or bucket change.");
            errors.push(field, text);
        } else if !is_stored && !is_sent {
            errors.push(field, texts::required_when(field, "type", kind));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}
