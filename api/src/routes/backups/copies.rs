//! `POST /api/backups/{id}/copies`

use crate::extract::id::{MAX_ID, found};
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::{Fields, Presence};
use crate::views::backup::BackupView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::{BackupDestinationId, BackupId, BackupTaskId};
use holdfast_store::TeamTx;
use holdfast_store::repositories::backups::BackupParts;
use holdfast_store::rows;
use serde_json::json;
use utoipa::ToSchema;

/// Destinations of one request at most.
const DESTINATIONS_MAX: usize = 10;

/// Why no copy can be made.
enum Refusal {
    NoCopy,
    NothingToDo,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoCopy => Self::conflict("no_copy", "No committed copy of this backup is left."),
            Refusal::NothingToDo => Self::conflict(
                "nothing_to_copy",
                "The backup has a copy at each of these destinations, or one is being made or deleted there.",
            ),
        }
    }
}

/// Where copies are wanted.
#[derive(Default, ToSchema)]
#[schema(as = BackupCopiesRequest)]
pub(crate) struct Body {
    /// By default the destinations where it failed, and those of the task that have none.
    backup_destination_ids: Option<Vec<i64>>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            backup_destination_ids: fields.integers("backup_destination_ids", Presence::Optional, DESTINATIONS_MAX),
        };
        fields.refuse_unknown();
        body
    }
}

/// Makes the copies of a backup that are missing, from one that exists: the source is not read again. Follow them in
/// `copies` of `GET /api/backups/{id}`.
#[utoipa::path(post, path = "/api/backups/{id}/copies", tag = "backups", params(("id" = u64, Path)),
    request_body = Body,
    responses((status = 202, body = Data<BackupView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn copy_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::RunBackupTasks>,
    Id(id): Id<BackupId>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<BackupView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let backup = found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    if !parts.copies.iter().any(|copy| copy.state == "committed") {
        return Err(Refusal::NoCopy.into());
    }
    let wanted = match body.backup_destination_ids {
        Some(ids) => known(&tx, ids).await?,
        None => missing(&tx, &backup, &parts).await?,
    };
    let mut queued = Vec::new();
    for destination in wanted {
        if tx.copy_requests().request(id, BackupDestinationId(destination), Some(auth.user_id)).await? {
            queued.push(destination);
        }
    }
    if queued.is_empty() {
        return Err(Refusal::NothingToDo.into());
    }
    let details = json!({"destinations": queued});
    tx.audit_events().record("backup.copy", &format!("backups:{id}"), details).await?;
    let view = BackupView::whole(backup, tx.backups().parts(id).await?);
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, data(view)))
}

/// 422 for a destination that is not the team's.
async fn known(tx: &TeamTx, ids: Vec<i64>) -> Result<Vec<i64>, Problem> {
    let can_exist = ids.iter().all(|id| (1..=MAX_ID).contains(id));
    if ids.is_empty() || !can_exist || tx.backup_destinations().count_of(&ids).await? != ids.len() as u64 {
        return Err(Problem::field("backup_destination_ids", "The selected backup destination is invalid."));
    }
    Ok(ids)
}

/// Where the backup should be and is not: deleted destinations left out.
async fn missing(tx: &TeamTx, backup: &rows::backups::Model, parts: &BackupParts) -> Result<Vec<i64>, Problem> {
    let task = BackupTaskId(backup.backup_task_id);
    let mut ids = tx.backup_tasks().destinations_of(&[task.0]).await?.remove(&task.0).unwrap_or_default();
    ids.extend(parts.copies.iter().filter(|copy| copy.state == "failed").map(|copy| copy.backup_destination_id));
    ids.sort_unstable();
    ids.dedup();
    let mut alive = Vec::with_capacity(ids.len());
    for id in ids {
        if tx.backup_destinations().find(BackupDestinationId(id)).await?.is_some() {
            alive.push(id);
        }
    }
    Ok(alive)
}
