//! `GET /api/backup-tasks/{id}/schedule-preview`

use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::schedule_preview::SchedulePreview;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::repositories::task_timing::{TaskTiming, due_after_change, due_of, seed_of};

/// The next ten runs of a task, from what is owed on; of a paused one, what they would be if it were resumed now. Nothing is
/// changed.
#[utoipa::path(get, path = "/api/backup-tasks/{id}/schedule-preview", tag = "backup-tasks", params(("id" = u64, Path)),
    responses((status = 200, body = Data<SchedulePreview>)))]
pub async fn preview_schedule(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupTaskId>,
) -> Result<Json<Data<SchedulePreview>>, Problem> {
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    let row = super::find(&tx, id).await?;
    let timing = TaskTiming::of(&row);
    let stored = due_of(&row).filter(|_| row.paused_at.is_none());
    let first = stored.or_else(|| due_after_change(&row, &timing, now));
    Ok(data(SchedulePreview::of(&timing, first, Some(seed_of(row.seal_id)))))
}
