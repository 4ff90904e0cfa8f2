//! `GET /api/backup-runs/{id}/log`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::backup_run::{LogLineView, LogPartView};
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use holdfast_domain::ids::BackupRunId;

const DEFAULT_LIMIT: u64 = 500;
const MAX_LIMIT: u64 = 1_000;
/// Beyond it an offset could leave a bigint.
const MAX_OFFSET: u64 = 1 << 53;

/// A part of the log, from `offset` lines on.
#[utoipa::path(get, path = "/api/backup-runs/{id}/log", tag = "backup-runs",
    params(("id" = u64, Path), ("offset" = Option<u64>, Query, description = "Lines to skip"),
        ("limit" = Option<u64>, Query, description = "1 to 1000")),
    responses((status = 200, body = Data<LogPartView>)))]
pub async fn show_backup_run_log(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupRunId>,
    uri: Uri,
) -> Result<Json<Data<LogPartView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    let offset = number(&uri, "offset").unwrap_or(0).min(MAX_OFFSET);
    let limit = number(&uri, "limit").unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let part = tx.backup_runs().log(id, offset, limit).await?;
    let next_offset = offset + part.lines.len() as u64;
    let lines = part.lines.into_iter().map(|line| LogLineView {
        line_number: line.line_number,
        at: time::utc(line.at),
        content: line.content,
    });
    Ok(data(LogPartView {
        lines: lines.collect(),
        total_lines: part.total,
        next_offset,
        has_more: next_offset < part.total,
    }))
}

/// A number of the query; one that is none counts as absent, as with paging.
pub(in crate::routes) fn number(uri: &Uri, name: &str) -> Option<u64> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .and_then(|(_, value)| value.parse().ok())
}
