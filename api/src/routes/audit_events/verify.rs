//! `GET /api/audit-events/verify`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::audit_event::AuditVerdictView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;

/// Computes the log's chain of hashes anew and names events that were edited, removed or added past the application. Keep
/// `head` somewhere else: a later log that does not contain it has lost its end.
#[utoipa::path(get, path = "/api/audit-events/verify", tag = "audit-events",
    responses((status = 200, body = Data<AuditVerdictView>)))]
pub async fn verify_audit_events(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewAuditEvents>,
) -> Result<Json<Data<AuditVerdictView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    Ok(data(AuditVerdictView::of(tx.audit_events().verify().await?)))
}
