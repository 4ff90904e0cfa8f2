//! `GET /api/backups/{id}/download`
//!
//! The bytes come from a worker and pass through; nothing is kept here. What a browser does with them is bounded: an
//! attachment, never rendered, never sniffed.

use super::{pick_stream, query_text};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use holdfast_domain::ids::BackupId;
use holdfast_domain::ticket::{DownloadForm, SHA256_HEADER, TicketAction};
use serde_json::json;

/// What of the worker's answer is passed on.
const PASSED: [HeaderName; 7] = [
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ETAG,
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static(SHA256_HEADER),
];

/// `stored`: the exact object, with ranges, its hash equal to the manifest's. `archive`: decrypted, still compressed.
#[utoipa::path(get, path = "/api/backups/{id}/download", tag = "backups",
    params(("id" = u64, Path), ("stream" = Option<String>, Query),
        ("form" = Option<String>, Query, description = "stored (default), archive")),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream", body = [u8]),
        (status = 206, description = "A range of them", content_type = "application/octet-stream", body = [u8]),
        (status = 409, body = crate::problem::ProblemBody), (status = 422, body = crate::problem::ProblemBody),
        (status = 502, body = crate::problem::ProblemBody), (status = 503, body = crate::problem::ProblemBody)))]
pub async fn download_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::DownloadBackups>,
    Id(id): Id<BackupId>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    let stream = pick_stream(&parts, query_text(&uri, "stream"))?;
    let form = match query_text(&uri, "form").as_deref() {
        None | Some("stored") => DownloadForm::Stored,
        Some("archive") => DownloadForm::Archive,
        Some(_) => return Err(Problem::field("form", "The selected form is invalid.")),
    };
    let details = json!({"stream": stream, "form": form});
    tx.audit_events().record("backup.download", &format!("backups:{id}"), details).await?;
    tx.commit().await?;
    let action = TicketAction::Download { id, stream, form };
    let answer = state.relay().open_part(state.store(), &auth.access, action, &headers).await?;
    Ok(passed_on(answer))
}

/// A worker's bytes for the client, as an attachment.
pub(in crate::routes) fn passed_on(answer: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in PASSED {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    harmless(response.headers_mut());
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}

/// What keeps a browser from rendering it; an attachment even if the worker named none.
fn harmless(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    let is_attachment = |value: &HeaderValue| value.as_bytes().starts_with(b"attachment");
    if !headers.get(header::CONTENT_DISPOSITION).is_some_and(is_attachment) {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_worker_says_it_is_an_attachment_that_nobody_renders() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
        harmless(&mut headers);
        assert_eq!(headers[header::CONTENT_TYPE], "application/octet-stream");
        assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
