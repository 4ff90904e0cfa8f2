//! `GET /api/backup-runs/{id}/events`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::event_streams::last_event;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use holdfast_domain::ids::BackupRunId;
use holdfast_domain::run::RunStatus;
use holdfast_store::live::Watched;

/// A run as it goes on, as server-sent events. `state` is the run, `progress` its figures, `log` one line; `end` comes after
/// the last of them, `closed` where the stream ends before that. An event's id is a place in the log: a client that asks
/// again with `Last-Event-ID` (or `?last_event_id=`) gets every later line once. A run that is over is told from the log.
#[utoipa::path(get, path = "/api/backup-runs/{id}/events", tag = "backup-runs",
    params(("id" = u64, Path), ("last_event_id" = Option<String>, Query, description = "For clients that cannot send the header"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The client has the last event")))]
pub async fn show_backup_run_events(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupRunId>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    drop(tx);
    let is_over = row.status.parse().is_ok_and(RunStatus::is_final);
    let last = last_event(&headers, &uri);
    state.live().stream(&auth.access, Watched::Run(id), is_over, last.as_deref()).await
}
