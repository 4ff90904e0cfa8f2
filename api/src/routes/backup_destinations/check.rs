//! `POST /api/backup-destinations/{id}/check`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::checks;
use crate::state::ApiState;
use crate::views::{CheckView, Data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::ticket::TicketAction;
use serde_json::json;

/// Writes a small object, reads it back and deletes it.
#[utoipa::path(post, path = "/api/backup-destinations/{id}/check", tag = "backup-destinations", params(("id" = u64, Path)),
    responses((status = 200, body = Data<CheckView>), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn check_backup_destination(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackupDestinations>,
    Id(id): Id<BackupDestinationId>,
) -> Result<Json<Data<CheckView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupDestinationId, _>(tx.backup_destinations().find(id).await?)?;
    tx.audit_events().record("backup_destination.check", &format!("backup_destinations:{id}"), json!({})).await?;
    // A connection to the database is not held while a worker talks to a destination.
    tx.commit().await?;
    checks::check(&state, &auth.access, TicketAction::CheckBackupDestination { id }).await
}
