//! `GET /api/system/backups/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::own_backup::OwnBackupView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::OwnBackupId;

/// One copy of the product's own database.
#[utoipa::path(get, path = "/api/system/backups/{id}", tag = "system", params(("id" = u64, Path)),
    responses((status = 200, body = Data<OwnBackupView>)))]
pub async fn show_own_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    Id(id): Id<OwnBackupId>,
) -> Result<Json<Data<OwnBackupView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    Ok(data(OwnBackupView::of(found::<OwnBackupId, _>(tx.own_backups().find(id).await?)?)))
}
