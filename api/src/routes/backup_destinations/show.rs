//! `GET /api/backup-destinations/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_destination::BackupDestinationView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupDestinationId;

/// One destination.
#[utoipa::path(get, path = "/api/backup-destinations/{id}", tag = "backup-destinations", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupDestinationView>)))]
pub async fn show_backup_destination(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupDestinations>,
    Id(id): Id<BackupDestinationId>,
) -> Result<Json<Data<BackupDestinationView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupDestinationId, _>(tx.backup_destinations().find(id).await?)?;
    Ok(data(BackupDestinationView::of(row)))
}
