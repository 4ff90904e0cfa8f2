//! `GET /api/backups/{id}/files`

use super::{pick_stream, query_text};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::backup_runs::log::number;
use crate::routes::checks::ask;
use crate::state::ApiState;
use crate::views::backup::ListingView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use holdfast_domain::ids::BackupId;
use holdfast_domain::ticket::TicketAction;

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// The entries directly below a folder, from the index; the archive itself is not read.
#[utoipa::path(get, path = "/api/backups/{id}/files", tag = "backups",
    params(("id" = u64, Path), ("stream" = Option<String>, Query), ("path" = Option<String>, Query),
        ("offset" = Option<u64>, Query), ("limit" = Option<u64>, Query, description = "1 to 1000")),
    responses((status = 200, body = Data<ListingView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody), (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn list_backup_files(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackups>,
    Id(id): Id<BackupId>,
    uri: Uri,
) -> Result<Json<Data<ListingView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    drop(tx);
    let path = query_text(&uri, "path").filter(|path| path != "/");
    let path = path.map(|path| holdfast_domain::paths::absolute(&path)).transpose();
    let action = TicketAction::ListFiles {
        id,
        stream: pick_stream(&parts, query_text(&uri, "stream"))?,
        path: path.map_err(|problem| Problem::field("path", format!("The path field is invalid: {problem}.")))?,
        offset: number(&uri, "offset").unwrap_or(0).min(1 << 53),
        limit: number(&uri, "limit").unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
    };
    Ok(data(ask(&state, &auth.access, action).await?))
}
