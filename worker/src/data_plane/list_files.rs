//! The entries of a backup directly below a folder, from the encrypted index. The archive itself is not read.

use super::download::pick;
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::copy_reader;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use holdfast_domain::ids::BackupId;
use holdfast_pipeline::index::{self, ListedEntry};
use holdfast_store::Access;
use serde_json::{Value, json};

/// Entries in one answer at most.
const MAX_ENTRIES: u64 = 1000;

/// Which entries.
pub struct Page {
    /// Stream name; none = the only one.
    pub stream: Option<String>,
    /// Folder; none = the top.
    pub path: Option<String>,
    /// Entries to skip.
    pub offset: u64,
    /// Entries to return.
    pub limit: u64,
}

/// `{"entries":[…],"total":n,"offset":n,"stream":"tree"}`.
///
/// # Errors
/// Unknown backup or stream, a stream without an index, no readable copy, no key that opens it.
pub async fn list_files(
    context: &WorkerContext,
    access: &Access,
    id: BackupId,
    page: &Page,
) -> Result<Response, Refusal> {
    let backup = copy_reader::find(context, access, id).await?.ok_or_else(Refusal::not_found)?;
    let tx = context.store.for_team(access).await?;
    let key = copy_reader::decrypt_key(context, &tx, &backup, None).await?;
    drop(tx);
    let copy = copy_reader::open_any(context, access, &backup, page.stream.as_deref()).await?;
    let stream = pick(&copy.manifest.streams, page.stream.as_deref())?;
    let (reader, stored) = copy
        .index(stream)
        .await?
        .ok_or_else(|| Refusal::new(StatusCode::CONFLICT, "no_index", "This stream has no list of files."))?;
    let limit = page.limit.min(MAX_ENTRIES);
    let listing = index::list(reader, key, stored, page.path.as_deref(), (page.offset, limit)).await?;
    let body = json!({
        "entries": listing.entries.iter().map(view).collect::<Vec<_>>(), "total": listing.total, "offset": page.offset, "stream": stream.name,
    });
    Ok(Json(body).into_response())
}

/// The absolute path, as a restore takes it in `paths`; in the archive it has no first slash, and a folder a last one.
fn on_the_source(stored: &str) -> String {
    format!("/{}", stored.trim_start_matches("./").trim_matches('/'))
}

/// What a client sees of an entry: where it lies in the archive is our own affair.
fn view(listed: &ListedEntry) -> Value {
    let entry = &listed.entry;
    // A time that a calendar cannot hold is one that a hostile server made up.
    let mtime = DateTime::from_timestamp(entry.mtime, 0).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({
        "name": listed.name, "path": on_the_source(&entry.path), "type": entry.kind, "size": entry.size, "mtime": mtime,
        "mode": entry.mode, "uid": entry.uid, "gid": entry.gid, "link": entry.link, "is_implied": listed.is_implied,
    })
}
