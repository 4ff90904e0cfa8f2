//! `GET /api/backup-destinations`

use super::TYPES;
use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_destination::BackupDestinationView;
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::backup_destinations::DestinationFilter;

/// The team's destinations.
#[utoipa::path(get, path = "/api/backup-destinations", tag = "backup-destinations",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In the label"),
        ("filter[type]" = Option<String>, Query, description = "`local`, `s3`, `custom_s3`, `digitalocean_spaces`")),
    responses((status = 200, body = ListBody<BackupDestinationView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_backup_destinations(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupDestinations>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<BackupDestinationView>>, Problem> {
    let filter = DestinationFilter { search: paging.search_text(), kind: paging.filter_of("type", &TYPES)? };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.backup_destinations().list(paging.request(), &filter).await?;
    Ok(Json(paging.envelope(listed, BackupDestinationView::of)))
}
