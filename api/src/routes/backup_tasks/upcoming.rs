//! `GET /api/backup-tasks/upcoming`

use crate::extract::id::found;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::upcoming::UpcomingView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::UserId;

/// Tasks of the answer at most.
const AT_MOST: u64 = 20;

/// The team's tasks that are due next, at most twenty, the nearest first; cron tasks too. Paused ones are not among them.
#[utoipa::path(get, path = "/api/backup-tasks/upcoming", tag = "backup-tasks",
    responses((status = 200, body = Data<Vec<UpcomingView>>)))]
pub async fn list_upcoming_backup_tasks(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
) -> Result<Json<Data<Vec<UpcomingView>>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    let rows = tx.backup_tasks().upcoming(AT_MOST).await?;
    Ok(data(rows.into_iter().filter_map(|row| UpcomingView::of(row, &user)).collect()))
}
