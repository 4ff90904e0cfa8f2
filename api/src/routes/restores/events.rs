//! `GET /api/restores/{id}/events`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::event_streams::last_event;
use crate::state::ApiState;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use holdfast_domain::ids::RestoreId;
use holdfast_domain::run::RunStatus;
use holdfast_store::live::Watched;

/// A restore as it goes on, as server-sent events: `state` is the restore, `progress` its figures; `end` comes after the last
/// of them, `closed` where the stream ends before that. A restore has no log, so every event says what is so now.
#[utoipa::path(get, path = "/api/restores/{id}/events", tag = "restores",
    params(("id" = u64, Path), ("last_event_id" = Option<String>, Query, description = "For clients that cannot send the header"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has")),
    responses((status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The client has the last event")))]
pub async fn show_restore_events(
    State(state): State<ApiState>,
    auth: Authorized<may::RestoreBackups>,
    Id(id): Id<RestoreId>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<RestoreId, _>(tx.restores().find(id).await?)?;
    drop(tx);
    let is_over = row.status.parse().is_ok_and(RunStatus::is_final);
    let last = last_event(&headers, &uri);
    state.live().stream(&auth.access, Watched::Restore(id), is_over, last.as_deref()).await
}
