//! `GET /api/backups/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup::BackupView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupId;

/// One restore point: its streams with sizes and hashes, and its copies.
#[utoipa::path(get, path = "/api/backups/{id}", tag = "backups", params(("id" = u64, Path)),
    responses((status = 200, body = Data<BackupView>)))]
pub async fn show_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    Id(id): Id<BackupId>,
) -> Result<Json<Data<BackupView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    Ok(data(BackupView::whole(row, parts)))
}
