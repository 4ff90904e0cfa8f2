//! Bodies become raw fields; what they mean is decided in `validation`. At most `http.max_body_bytes` are read, within
//! 30 seconds.

use super::form;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Fields;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use std::time::Duration;

/// Deepest nesting of JSON.
const MAX_DEPTH: usize = 64;
/// A body that takes longer has a client that means harm or is gone.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of an endpoint of page 003 or a sibling: JSON, urlencoded or multipart. Unknown fields are ignored.
pub struct PageBody(pub Fields);

/// The body of an endpoint of ours: JSON alone. Unknown fields are refused.
pub struct OurBody(pub Fields);

impl FromRequest<ApiState> for PageBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let max = state.max_body_bytes();
        let media = media_type(&request);
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, max).await?;
        if let Media::Multipart(boundary) = media {
            return Ok(Self(Fields::new(multipart(bytes, boundary, max).await?)));
        }
        let map = match media {
            Media::None | Media::Json if bytes.is_empty() => Map::new(),
            Media::Json if form::looks_like_one(&bytes) => form(&bytes)?,
            Media::Json => json(&bytes)?,
            Media::Form => form(&bytes)?,
            _ => return Err(unsupported()),
        };
        Ok(Self(Fields::new(map)))
    }
}

impl FromRequest<ApiState> for OurBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let max = state.max_body_bytes();
        let media = media_type(&request);
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body, max).await?;
        let map = match media {
            Media::None | Media::Json if bytes.is_empty() => Map::new(),
            Media::Json => json(&bytes)?,
            _ => return Err(unsupported()),
        };
        Ok(Self(Fields::new(map)))
    }
}

enum Media {
    None,
    Json,
    Form,
    Multipart(String),
    Other,
}

fn media_type(request: &Request) -> Media {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else { return Media::None };
    let Ok(text) = value.to_str() else { return Media::Other };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Media::Json,
        "application/x-www-form-urlencoded" => Media::Form,
        "multipart/form-data" => multer::parse_boundary(text).map_or(Media::Other, Media::Multipart),
        other if other.starts_with("application/") && other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

pub(super) fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send the body as application/json and say so in Content-Type.",
    )
}

fn too_large(max: usize) -> Problem {
    let message = format!("The body may have at most {max} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "The body did not arrive within 30 seconds.")
}

/// The whole body, within bounds, and as it is: what would unfold to something larger is refused.
///
/// # Errors
/// 400, 408, 413, 415.
pub(crate) async fn read(headers: &HeaderMap, body: Body, max: usize) -> Result<bytes::Bytes, Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        let message = "Send the body uncompressed, without Content-Encoding.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", message));
    }
    let said = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    let reading = axum::body::to_bytes(body, max);
    match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Err(_) => Err(too_slow()),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let inner = error.into_inner();
            let is_limit = inner.downcast_ref::<http_body_util::LengthLimitError>().is_some();
            Err(if is_limit { too_large(max) } else { Problem::malformed("The body ended before it was complete.") })
        }
    }
}

fn json(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if depth(bytes) > MAX_DEPTH {
        return Err(Problem::malformed(format!("The body is nested deeper than {MAX_DEPTH} levels.")));
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::malformed(format!("The body is not JSON (line {}).", error.line())))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Problem::malformed("The body must be a JSON object.")),
    }
}

/// How deep brackets are nested, before anything is built of them.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn form(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    form::parse(bytes).ok_or_else(too_much)
}

fn too_much() -> Problem {
    Problem::malformed("The form has too many fields or is nested too deeply.")
}

async fn multipart(bytes: bytes::Bytes, boundary: String, max: usize) -> Result<Map<String, Value>, Problem> {
    let limits = multer::SizeLimit::new().whole_stream(max as u64).per_field(max as u64);
    let constraints = multer::Constraints::new().size_limit(limits);
    let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
    let mut parts = multer::Multipart::with_constraints(whole, boundary, constraints);
    let mut map = Map::new();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(|error| refused(&error, max))? {
        count += 1;
        if count > form::MAX_FIELDS {
            return Err(too_much());
        }
        let name = part.name().unwrap_or_default().to_owned();
        let text = part.text().await.map_err(|error| refused(&error, max))?;
        form::insert(&mut map, &name, text).ok_or_else(too_much)?;
    }
    Ok(form::lists(map))
}

fn refused(error: &multer::Error, max: usize) -> Problem {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => too_large(max),
        _ => Problem::malformed("The multipart body is broken."),
    }
}
