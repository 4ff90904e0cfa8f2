//! `POST /api/system/backups`

use crate::extract::id::MAX_ID;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::state::ApiState;
use crate::validation::{Fields, Presence, rules, texts};
use crate::views::own_backup::OwnBackupView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::{BackupDestinationId, OwnBackupId};
use holdfast_store::TeamTx;
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::own_backups::NewOwnBackup;
use rand::Rng;
use serde_json::json;
use utoipa::ToSchema;

/// Recipients at most.
const RECIPIENTS_MAX: usize = 20;

/// Where the copy goes and who can open it.
#[derive(Default, ToSchema)]
#[schema(as = OwnBackupRequest)]
pub(crate) struct Body {
    /// A destination of this team.
    backup_destination_id: Option<i64>,
    /// `age1…` (`age-keygen` makes one). The other half opens the copy, and with it everything that Holdfast keeps: it
    /// belongs to a place that is not this machine.
    recipients: Option<Vec<String>>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            backup_destination_id: fields.integer("backup_destination_id", Presence::Required),
            recipients: fields.strings("recipients", Presence::Required, RECIPIENTS_MAX, rules::age_recipient),
        };
        if body.recipients.as_ref().is_some_and(Vec::is_empty) && !fields.failed("recipients") {
            fields.fail("recipients", texts::required("recipients"));
        }
        fields.refuse_unknown();
        body
    }
}

/// Has a worker copy the product's own database and key, as they are at one moment, to a destination.
#[utoipa::path(post, path = "/api/system/backups", tag = "system", request_body = Body,
    responses((status = 202, body = Data<OwnBackupView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_own_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<OwnBackupView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let new = NewOwnBackup {
        user_id: auth.user_id,
        backup_destination_id: destination(&tx, &body).await?,
        recipients: body.recipients.unwrap_or_default(),
        object_name: object_name(&state),
    };
    let details = json!({"backup_destination": new.backup_destination_id, "recipients": new.recipients});
    let row = tx.own_backups().create_queued(new, state.now()).await?;
    let id = OwnBackupId(row.id);
    queue::enqueue(&tx, Job::MakeOwnBackup(id)).await?;
    tx.audit_events().record("own_backup.create", &format!("own_backups:{id}"), details).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, data(OwnBackupView::of(row))))
}

async fn destination(tx: &TeamTx, body: &Body) -> Result<BackupDestinationId, Problem> {
    let id = body.backup_destination_id.filter(|id| (1..=MAX_ID).contains(id)).map(BackupDestinationId);
    if let Some(id) = id
        && tx.backup_destinations().find(id).await?.is_some()
    {
        return Ok(id);
    }
    let field = "backup_destination_id";
    Err(Problem::validation(FieldErrors::one(field, texts::selected(field))))
}

/// Known before anything is written, and never the same twice.
fn object_name(state: &ApiState) -> String {
    let now = state.now();
    let random: u128 = state.with_rng(Rng::random);
    let ulid = ulid::Ulid::from_parts(u64::try_from(now.timestamp_millis()).unwrap_or(0), random);
    format!("holdfast_{}_{ulid}.sql.zst.age", now.format("%Y%m%d%H%M%S"))
}
