//! `GET /api/backup-tasks/{id}/retention-preview`

use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::keeping::RetentionPreview;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::repositories::retention::rule_of;

/// What the task's rule would do now with each copy at each destination, and why. Nothing is changed.
#[utoipa::path(get, path = "/api/backup-tasks/{id}/retention-preview", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<RetentionPreview>)))]
pub async fn preview_retention(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Data<RetentionPreview>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let rule = rule_of(&super::find(&tx, id).await?);
    let copies = tx.retention().copies(id).await?;
    let doomed = tx.prunes().doomed(id).await?;
    Ok(data(RetentionPreview::of(&rule, &copies, doomed)))
}
