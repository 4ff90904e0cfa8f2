//! A fake of an S3 server, for what a real one does only on its bad days: refusals, storms, lies, endless answers. It
//! keeps objects in memory, believes every signature, and proves nothing about real stores; those tests use
//! [`crate::garage`].

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Largest body it takes.
const BODY_BYTES: usize = 64 << 20;

/// A request, as the rule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `PUT`, `GET` …
    pub method: String,
    /// The key without the bucket; empty for the bucket itself.
    pub key: String,
    /// As it came.
    pub query: String,
    /// What it said of itself.
    pub headers: Vec<(String, String)>,
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// A refusal with S3's code, and headers.
    Refuse(u16, &'static str, Vec<(&'static str, String)>),
    /// This status with this body, whatever was asked.
    Say(u16, String),
    /// Answers only after this time.
    Wait(Duration),
    /// Bytes that never end, at this pause after each 64 KiB.
    Endless(Duration),
    /// One bit of the object's bytes is another one.
    Flip,
    /// The object is this many bytes long.
    Truncate(usize),
    /// Takes the request and does nothing of it, with an answer that says it did.
    Forget,
    /// Does what was asked, with an answer that says it did not: what a lost answer looks like.
    Deny,
}

/// Decides about each request; none: it is done as asked.
pub type Rule = dyn Fn(&Seen) -> Option<Wrong> + Send + Sync;

/// A running fake.
pub struct FakeS3 {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    rule: Box<Rule>,
    state: Mutex<Stored>,
}

#[derive(Default)]
struct Stored {
    seen: Vec<Seen>,
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, (String, BTreeMap<u32, Bytes>)>,
    next: u32,
}

impl FakeS3 {
    /// Starts a fake that follows `rule`. Its ETags are no MD5, as those of a store that encrypts.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(rule: impl Fn(&Seen) -> Option<Wrong> + Send + Sync + 'static) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { rule: Box::new(rule), state: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It serves until the handle is dropped; then nobody is left to hear of an error.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { port, shared, task })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// What is stored, by key.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        self.shared.state().objects.clone()
    }

    /// Keys of the uploads that were begun and neither completed nor ended.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        self.shared.state().uploads.values().map(|(key, _)| key.clone()).collect()
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Stored> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/');
    let key = path.split_once('/').map_or("", |(_, key)| key).to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
    let seen = Seen { method: parts.method.to_string(), key, query, headers };
    let wrong = (shared.rule)(&seen);
    shared.state().seen.push(seen.clone());
    if let Some(Wrong::Wait(time)) = wrong {
        tokio::time::sleep(time).await;
    }
    let Ok(body) = to_bytes(body, BODY_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    match &wrong {
        Some(Wrong::Refuse(status, code, headers)) => return refusal(*status, code, headers),
        Some(Wrong::Say(status, text)) => return with_status(*status, text.clone()),
        Some(Wrong::Endless(pause)) => return endless(*pause),
        _ => (),
    }
    let changes = !matches!(wrong, Some(Wrong::Forget));
    let found = act(&shared, &parts.method, &seen, body, changes);
    if matches!(wrong, Some(Wrong::Deny)) {
        return refusal(500, "InternalError", &[]);
    }
    found.map_or_else(
        || refusal(404, "NoSuchKey", &[]),
        |found| match found {
            Found::Done(response) => response,
            Found::Object(bytes) => object(&parts.headers, &bytes, wrong.as_ref()),
        },
    )
}

/// What a request found.
enum Found {
    Done(Response),
    Object(Bytes),
}

fn act(shared: &Shared, method: &Method, seen: &Seen, body: Bytes, changes: bool) -> Option<Found> {
    let query: HashMap<&str, &str> =
        seen.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let mut state = shared.state();
    let upload = query.get("uploadId").copied();
    let done = |text: String| Some(Found::Done(with_status(200, text)));
    match (method.as_str(), query.contains_key("uploads"), upload) {
        ("POST", true, _) => {
            state.next += 1;
            let id = format!("u{}", state.next);
            state.uploads.insert(id.clone(), (seen.key.clone(), BTreeMap::new()));
            done(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
        }
        ("GET", true, _) => {
            let entry = |(id, (key, _)): (&String, &(String, _))| {
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
            };
            let list: String = state.uploads.iter().map(entry).collect();
            done(format!("<ListMultipartUploadsResult>{list}</ListMultipartUploadsResult>"))
        }
        ("PUT", _, Some(id)) => {
            let number = query.get("partNumber").and_then(|n| n.parse().ok()).unwrap_or(0);
            let Some((_, parts)) = state.uploads.get_mut(id) else { return no_upload() };
            if changes {
                parts.insert(number, body);
            }
            tagged()
        }
        ("POST", _, Some(id)) => {
            let Some((key, parts)) = state.uploads.remove(id) else { return no_upload() };
            if changes {
                state.objects.insert(key, parts.into_values().collect::<Vec<_>>().concat().into());
            }
            done("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>".to_owned())
        }
        ("DELETE", _, Some(id)) => match state.uploads.remove(id) {
            Some(_) => Some(Found::Done(StatusCode::NO_CONTENT.into_response())),
            None => no_upload(),
        },
        ("PUT", ..) => {
            if changes {
                state.objects.insert(seen.key.clone(), body);
            }
            tagged()
        }
        ("DELETE", ..) => {
            state.objects.remove(&seen.key);
            Some(Found::Done(StatusCode::NO_CONTENT.into_response()))
        }
        _ => state.objects.get(&seen.key).cloned().map(Found::Object),
    }
}

fn no_upload() -> Option<Found> {
    Some(Found::Done(refusal(404, "NoSuchUpload", &[])))
}

fn tagged() -> Option<Found> {
    Some(Found::Done(([("etag", "\"opaque\"")], "").into_response()))
}

/// An object or a range of it.
fn object(asked: &HeaderMap, bytes: &Bytes, wrong: Option<&Wrong>) -> Response {
    let mut bytes = bytes.clone();
    match wrong {
        Some(Wrong::Truncate(len)) => bytes.truncate(*len),
        Some(Wrong::Flip) if !bytes.is_empty() => {
            let mut other = bytes.to_vec();
            let middle = other.len() / 2;
            other[middle] ^= 1;
            bytes = other.into();
        }
        _ => (),
    }
    let size = bytes.len();
    let range = asked.get("range").and_then(|v| v.to_str().ok()).and_then(|text| text.strip_prefix("bytes="));
    let span = range.and_then(|text| text.split_once('-'));
    let span = span.and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?.min(size.max(1) - 1))));
    match span {
        Some((first, _)) if first >= size => refusal(416, "InvalidRange", &[]),
        Some((first, last)) => {
            let headers =
                [("etag", "\"opaque\"".to_owned()), ("content-range", format!("bytes {first}-{last}/{size}"))];
            (StatusCode::PARTIAL_CONTENT, headers, bytes.slice(first..=last)).into_response()
        }
        None => ([("etag", "\"opaque\"")], bytes).into_response(),
    }
}

fn refusal(status: u16, code: &str, headers: &[(&'static str, String)]) -> Response {
    let mut response =
        with_status(status, format!("<Error><Code>{code}</Code><Message>the fake says so</Message></Error>"));
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

fn with_status(status: u16, text: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, text).into_response()
}

fn endless(pause: Duration) -> Response {
    let pieces = futures_util::stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'x'; 64 << 10])), ()))
    });
    Body::from_stream(pieces).into_response()
}
