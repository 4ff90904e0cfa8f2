//! `GET /api/backup-runs/{id}/log/download`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::time;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use holdfast_domain::ids::BackupRunId;
use holdfast_store::{Access, Store, StoreError};
use std::fmt::Write;

/// Lines that are held at once.
const LINES_AT_ONCE: u64 = 200;

/// The whole log as it is now, as plain text: the time of each line, and the line.
#[utoipa::path(get, path = "/api/backup-runs/{id}/log/download", tag = "backup-runs", params(("id" = u64, Path)),
    responses((status = 200, description = "The lines", body = String, content_type = "text/plain")))]
pub async fn download_backup_run_log(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupTasks>,
    Id(id): Id<BackupRunId>,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupRunId, _>(tx.backup_runs().find(id).await?)?;
    drop(tx);
    let name = format!("attachment; filename=\"backup-run-{id}.log\"");
    let name = HeaderValue::try_from(name).map_err(|error| Problem::internal(&error))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'")),
    ];
    let body = Body::from_stream(text(state.store().clone(), auth.access, id));
    Ok((headers, body).into_response())
}

/// A part of the text for each part that is read; the connection of the pool is not kept between them.
fn text(store: Store, access: Access, id: BackupRunId) -> impl Stream<Item = Result<Bytes, StoreError>> {
    try_unfold((store, access, 0), move |(store, access, after)| async move {
        let lines = store.for_team(&access).await?.backup_runs().lines_after(id, after, LINES_AT_ONCE).await?;
        let Some(last) = lines.last().map(|line| line.line_number) else { return Ok(None) };
        let mut part = String::new();
        for line in lines {
            // Writing to a text does not fail.
            let _ = writeln!(part, "{} {}", time::utc(line.at), line.content);
        }
        Ok(Some((Bytes::from(part), (store, access, last))))
    })
}
