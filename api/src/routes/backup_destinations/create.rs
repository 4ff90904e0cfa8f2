//! `POST /api/backup-destinations`

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::{Authorized, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::routes::at_once::AtOnceBody;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::views::backup_destination::{BackupDestinationView, DestinationConfig};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_store::Changes;
use holdfast_store::repositories::backup_destinations::NewBackupDestination;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Registers a destination. Nothing is written yet; `check` does that.
#[utoipa::path(post, path = "/api/backup-destinations", tag = "backup-destinations",
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Data<BackupDestinationView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_backup_destination(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateBackupDestinations>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<Data<BackupDestinationView>>), Problem> {
    let body = Body::read(&mut fields, None);
    fields.finish()?;
    let kind = body.kind.clone().unwrap_or_default();
    let config = body.config(&kind, DestinationConfig::default());
    let is_s3 = kind != "local";
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let access_key = body.s3_access_key.as_deref().filter(|_| is_s3);
    let secret_key = body.s3_secret_key.as_deref().filter(|_| is_s3);
    let new = NewBackupDestination {
        user_id: auth.user_id,
        label: body.label.unwrap_or_default(),
        config: serde_json::to_value(config).map_err(|e| Problem::internal(&e))?,
        seal_id: seal.seal_id(),
        sealed_access_key: seal.seal(SealedColumn::DestinationAccessKey, access_key).await?,
        sealed_secret_key: seal.seal(SealedColumn::DestinationSecretKey, secret_key).await?,
        runs_at_once: AtOnceBody::runs(body.limits.as_ref(), None),
        kind,
    };
    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::BackupDestinations).await?;
    let row = tx.backup_destinations().create(new, state.now()).await?;
    let subject = format!("backup_destinations:{}", row.id);
    let view = BackupDestinationView::of(row.clone());
    let changes = secrets(Changes::made(&view), None, Some(&row), SECRETS);
    tx.audit_events().record_change("backup_destination.create", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}
