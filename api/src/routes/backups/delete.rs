//! `DELETE /api/backups/{id}`

use super::keeping;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupId;
use serde_json::json;
use utoipa::ToSchema;

/// What may be asked again.
#[derive(ToSchema)]
#[schema(as = BackupDeletion)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// The task's label: only where the last good backup goes.
    confirm: Option<String>,
}

/// Deletes a backup at every destination, for good. It is not listed any more at once; a worker removes its objects.
#[utoipa::path(delete, path = "/api/backups/{id}", tag = "backups", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 200, body = Message), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackups>,
    Id(id): Id<BackupId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let locked = keeping::lock(&tx, id).await?;
    let confirm = fields.string("confirm", Presence::Optional);
    fields.refuse_unknown();
    fields.finish()?;
    locked.refuse(locked.backup.held, confirm.as_deref())?;
    let copies = tx.retention().delete(&locked.copies.all_of(id, true)).await?;
    tx.prunes().request(locked.task, None).await?;
    tx.audit_events().record("backup.delete", &format!("backups:{id}"), json!({"copies": copies})).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Backup successfully deleted".to_owned() }))
}
