//! `DELETE /api/recycle-bin`

use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::keeping::Emptied;
use axum::Json;
use axum::extract::State;
use serde_json::json;

/// Deletes what lies in the recycle bin, for good. Stays: what is held or being read, and what a rule put there while no
/// newer verified copy is outside the bin.
#[utoipa::path(delete, path = "/api/recycle-bin", tag = "recycle-bin", responses((status = 200, body = Emptied)))]
pub async fn empty_recycle_bin(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackups>,
) -> Result<Json<Emptied>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let (mut deleted_count, mut kept_count) = (0, 0);
    // In order of ids, so that two who empty it wait for each other instead of standing in each other's way.
    for task in tx.recycle_bin().tasks().await? {
        let applied = tx.retention().apply_bin(task, |_, _| true).await?;
        deleted_count += applied.deleted;
        kept_count += applied.planned.len() - applied.deleted;
        if applied.deleted > 0 {
            tx.prunes().request(task, None).await?;
        }
    }
    let details = json!({"deleted": deleted_count, "kept": kept_count});
    tx.audit_events().record("recycle_bin.empty", "recycle_bin", details).await?;
    tx.commit().await?;
    Ok(Json(Emptied { deleted_count, kept_count }))
}
