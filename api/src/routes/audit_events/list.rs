//! `GET /api/audit-events`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::audit_event::AuditEventView;
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::PageRequest;
use holdfast_store::repositories::audit_events::AuditFilter;

/// Who did what in the team, the newest first.
#[utoipa::path(get, path = "/api/audit-events", tag = "audit-events",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query),
        ("filter[action]" = Option<String>, Query, description = "As remote_server.update, or remote_server. for all of servers"),
        ("filter[user_id]" = Option<u64>, Query), ("since" = Option<String>, Query, description = "RFC 3339, at or after"),
        ("until" = Option<String>, Query, description = "RFC 3339, before"), ("search" = Option<String>, Query)),
    responses((status = 200, body = ListBody<AuditEventView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_audit_events(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewAuditEvents>,
    paging: Paging,
) -> Result<Json<ListBody<AuditEventView>>, Problem> {
    let filter = AuditFilter {
        action: paging.filter("action").map(str::to_owned),
        user_id: paging.filter_id("user_id"),
        about_user_id: None,
        since: paging.since()?,
        until: paging.until()?,
        search: paging.search().map(str::to_owned),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let page = PageRequest { newest_first: true, ..paging.request() };
    let listed = tx.audit_events().list(page, &filter).await?;
    Ok(Json(paging.envelope(listed, AuditEventView::of)))
}
