//! `GET /api/backup-copies/{id}/events`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::event_streams::last_event;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use holdfast_domain::ids::BackupCopyId;
use holdfast_store::live::Watched;

/// A copy that is being made, as server-sent events: `state` is the copy, `progress` its figures; `end` comes after the last
/// of them, `closed` where the stream ends before that. A copy has no log, so every event says what is so now.
#[utoipa::path(get, path = "/api/backup-copies/{id}/events", tag = "backups",
    params(("id" = u64, Path), ("last_event_id" = Option<String>, Query, description = "For clients that cannot send the header"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The client has the last event")))]
pub async fn show_backup_copy_events(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    Id(id): Id<BackupCopyId>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<BackupCopyId, _>(tx.copy_requests().find(id).await?)?;
    drop(tx);
    let is_over = !matches!(row.state.as_str(), "queued" | "running");
    let last = last_event(&headers, &uri);
    state.live().stream(&auth.access, Watched::Copy(id), is_over, last.as_deref()).await
}
