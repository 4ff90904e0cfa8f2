//! `GET /api/backup-destinations`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_destination::BackupDestinationView;
use axum::Json;
use axum::extract::State;

/// The team's destinations.
#[utoipa::path(get, path = "/api/backup-destinations", tag = "backup-destinations",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In the label")),
    responses((status = 200, body = ListBody<BackupDestinationView>)))]
pub async fn list_backup_destinations(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupDestinations>,
    paging: Paging,
) -> Result<Json<ListBody<BackupDestinationView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.backup_destinations().list(paging.request(), paging.search()).await?;
    Ok(Json(paging.envelope(listed, BackupDestinationView::of)))
}
