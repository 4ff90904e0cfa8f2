//! The bytes of one stream of a backup: exactly as stored, or decrypted.

use super::range::{Selection, select};
use super::refusal::Refusal;
use super::stored_body::stored_body;
use crate::context::WorkerContext;
use crate::copy_reader::{self, OpenCopy};
use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::response::Builder;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use futures_util::stream;
use holdfast_domain::ids::BackupId;
use holdfast_domain::manifest::{Digest, ManifestStream};
use holdfast_domain::source::EncryptionMode;
use holdfast_domain::ticket::{DownloadForm, SHA256_HEADER};
use holdfast_pipeline::{ByteStream, ObjectReader, decode};
use holdfast_store::Access;
use holdfast_store::repositories::copies::BackupToRead;
use std::sync::Arc;

/// What of a backup is wanted.
pub struct Wanted<'a> {
    /// Stream name; none = the only one.
    pub stream: Option<String>,
    /// As stored, or decrypted.
    pub form: DownloadForm,
    /// The client's range headers.
    pub headers: &'a HeaderMap,
}

/// `stored`: the exact object, with ranges, its SHA-256 as `ETag` and `Repr-Digest`. `archive`: decrypted, still
/// compressed; its length is unknown until it ends, and it ends in order only when every check passed.
///
/// # Errors
/// Unknown backup or stream, several streams and none named, no readable copy, no key that opens it.
pub async fn download(
    context: &WorkerContext,
    access: &Access,
    id: BackupId,
    wanted: &Wanted<'_>,
) -> Result<Response, Refusal> {
    let backup = copy_reader::find(context, access, id).await?.ok_or_else(Refusal::not_found)?;
    let copy = copy_reader::open_any(context, access, &backup, wanted.stream.as_deref()).await?;
    let stream = pick(&copy.manifest.streams, wanted.stream.as_deref())?;
    let is_plain = copy.manifest.encryption == EncryptionMode::None;
    if wanted.form == DownloadForm::Stored || is_plain {
        return stored(&copy, stream, wanted.headers).await;
    }
    archive(context, access, (&backup, &copy), stream).await
}

/// The named stream, or the only one.
pub(super) fn pick<'a>(streams: &'a [ManifestStream], name: Option<&str>) -> Result<&'a ManifestStream, Refusal> {
    match (name, streams) {
        (Some(name), all) => all.iter().find(|s| s.name == name).ok_or_else(Refusal::not_found),
        (None, [only]) => Ok(only),
        (None, _) => Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "stream_required",
            "The backup has several streams; name one with `stream`.",
        )),
    }
}

async fn stored(copy: &OpenCopy, stream: &ManifestStream, headers: &HeaderMap) -> Result<Response, Refusal> {
    object_answer(copy.reader(stream).await?, &stream.stored, &file_name(stream), headers)
}

/// The exact bytes of `reader`, or the range of them that the client's headers want, under `name`, which must be fit for
/// a header's quotes.
pub(super) fn object_answer(
    reader: Arc<dyn ObjectReader>,
    digest: &Digest,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let size = digest.size_bytes;
    let etag = format!("\"{}\"", digest.sha256);
    let selection = select(headers, size, &etag);
    let builder = Response::builder().header(ETAG, &etag).header(ACCEPT_RANGES, "bytes");
    let (status, range) = match selection {
        Selection::NotModified => return answer(builder.status(StatusCode::NOT_MODIFIED), Body::empty()),
        Selection::Unsatisfiable => {
            return Err(Refusal::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("The object has {size} bytes."),
            ));
        }
        Selection::Whole => (StatusCode::OK, 0..size),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut builder = attachment(builder.status(status), name)
        .header(CONTENT_LENGTH, range.end - range.start)
        .header("repr-digest", repr_digest(&digest.sha256))
        .header(SHA256_HEADER, &digest.sha256);
    if status == StatusCode::PARTIAL_CONTENT {
        builder = builder.header(CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    answer(builder, Body::from_stream(stored_body(reader, range, digest)))
}

async fn archive(
    context: &WorkerContext,
    access: &Access,
    (backup, copy): (&BackupToRead, &OpenCopy),
    stream: &ManifestStream,
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let key = copy_reader::decrypt_key(context, &tx, backup, None).await?;
    drop(tx);
    let mut bytes = decode::archive(copy.reader(stream).await?, key, stream.stored.clone());
    // The first piece is awaited here, so that a wrong key is an answer and not a broken transfer.
    let first = bytes.next().await?;
    let name = file_name(stream);
    let name = name.strip_suffix(".age").unwrap_or(&name);
    answer(attachment(Response::builder().status(StatusCode::OK), name), Body::from_stream(pieces(first, bytes)))
}

fn pieces(
    first: Option<bytes::Bytes>,
    rest: ByteStream,
) -> impl stream::Stream<Item = Result<bytes::Bytes, holdfast_domain::Failure>> + Send + 'static {
    stream::try_unfold((first, rest), |(first, mut rest)| async move {
        let piece = match first {
            Some(piece) => Some(piece),
            None => rest.next().await?,
        };
        Ok(piece.map(|piece| (piece, (None, rest))))
    })
}

/// A download is never shown: not rendered, not sniffed, not scripted (security.md S65).
fn attachment(builder: Builder, name: &str) -> Builder {
    builder
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'")
}

/// The stored name's last part, with everything but letters, digits, dot, underscore and dash replaced: nothing in it
/// can end the header or the quotes.
fn file_name(stream: &ManifestStream) -> String {
    let stored = stream.objects.first().map_or("backup", |o| o.name.as_str());
    let last = stored.rsplit('/').next().unwrap_or("backup");
    last.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }).collect()
}

/// RFC 9530: the SHA-256 of the whole object, whatever part is sent.
fn repr_digest(hexadecimal: &str) -> String {
    let bytes = hex::decode(hexadecimal).unwrap_or_default();
    format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn answer(builder: Builder, body: Body) -> Result<Response, Refusal> {
    builder.body(body).map_err(|error| {
        tracing::error!("data plane: an answer could not be made: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The answer could not be made.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::manifest::{Digest, ManifestObject};

    fn stream(name: &str, object: &str) -> ManifestStream {
        let digest = Digest { size_bytes: 1, sha256: "00".repeat(32) };
        ManifestStream {
            name: name.into(),
            format: "tar".into(),
            exit_status: 0,
            original: digest.clone(),
            stored: digest.clone(),
            nfiles: 1,
            objects: vec![ManifestObject { name: object.into(), digest }],
            index: None,
            database: None,
        }
    }

    #[test]
    fn a_hostile_name_stays_inside_its_header() {
        let name = file_name(&stream("tree", "x/a\";\r\nX-Y: 1.html"));
        assert_eq!(name, "a____X-Y__1.html");
        let response = attachment(Response::builder(), &name).body(Body::empty()).unwrap();
        assert_eq!(response.headers().len(), 4);
    }

    #[test]
    fn several_streams_and_none_named_is_not_guessed() {
        let two = [stream("a", "a"), stream("b", "b")];
        assert!(pick(&two, None).is_err());
        assert_eq!(pick(&two, Some("b")).unwrap().name, "b");
        assert!(pick(&two, Some("c")).is_err());
        assert_eq!(pick(&two[..1], None).unwrap().name, "a");
    }
}
