//! Restore points.

pub mod copies;
pub mod delete;
pub mod download;
pub mod files;
mod keeping;
pub mod list;
pub mod restore;
pub mod show;
pub mod update;

use crate::problem::Problem;
use axum::http::Uri;
use holdfast_store::repositories::backups::BackupParts;

/// A text of the query: the last of several, none where it is empty.
pub(in crate::routes) fn query_text(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

/// The stream that is meant: the named one, or the only one.
///
/// # Errors
/// 422 for a name that the backup does not have, and where it has several and none is named.
fn pick_stream(parts: &BackupParts, name: Option<String>) -> Result<Option<String>, Problem> {
    match name {
        Some(name) if parts.streams.iter().any(|stream| stream.name == name) => Ok(Some(name)),
        Some(_) => Err(Problem::field("stream", "The selected stream is invalid.")),
        None if parts.streams.len() > 1 => {
            Err(Problem::field("stream", "The stream field is required when the backup has several streams."))
        }
        None => Ok(None),
    }
}
