//! `GET /api/backups`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup::BackupView;
use axum::Json;
use axum::extract::State;
use holdfast_store::repositories::backups::BackupFilter;
use holdfast_store::rows;
use std::collections::BTreeMap;

/// The team's restore points, those of deleted tasks too; those in the recycle bin only when asked for.
#[utoipa::path(get, path = "/api/backups", tag = "backups",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("filter[backup_task_id]" = Option<u64>, Query), ("filter[remote_server_id]" = Option<u64>, Query),
        ("filter[held]" = Option<bool>, Query), ("filter[has_warnings]" = Option<bool>, Query),
        ("filter[encryption_mode]" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In what the task was called then"),
        ("since" = Option<String>, Query, description = "RFC 3339"),
        ("filter[recycled]" = Option<u8>, Query, description = "1: those in the recycle bin, instead of the others")),
    responses((status = 200, body = ListBody<BackupView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_backups(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<BackupView>>, Problem> {
    let filter = BackupFilter {
        backup_task_id: paging.filter_id("backup_task_id"),
        remote_server_id: paging.filter_id("remote_server_id"),
        since: paging.since()?,
        is_recycled: paging.filter_flag("recycled")?.unwrap_or(false),
        is_held: paging.filter_flag("held")?,
        has_warnings: paging.filter_flag("has_warnings")?,
        encryption_mode: paging.filter_of("encryption_mode", &["managed", "recipients", "password", "none"])?,
        search: paging.search_text(),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.backups().list(paging.request(), &filter).await?;
    let ids: Vec<i64> = listed.rows.iter().map(|row| row.id).collect();
    let mut copies: BTreeMap<i64, Vec<rows::backup_copies::Model>> = BTreeMap::new();
    for copy in tx.backups().copies_of(&ids).await? {
        copies.entry(copy.backup_id).or_default().push(copy);
    }
    Ok(Json(paging.envelope(listed, |row| {
        let copies = copies.remove(&row.id).unwrap_or_default();
        BackupView::of(row, copies)
    })))
}
