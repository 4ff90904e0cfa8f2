//! Receivers of notifications on loopback. Those of Discord, Slack, Teams, Pushover, Telegram, ntfy and Gotify are fakes:
//! no registry has a server of theirs. Each checks what its service checks by its public documentation, refuses with that
//! service's status and words, and is stricter than it in one thing: a field that the service does not know, and would
//! silently leave out, is refused. They prove nothing about the services themselves. [`webhook`] is no fake: the
//! specification's own library checks the signature there. Nothing secret may be sent here.

pub mod discord;
pub mod gotify;
pub mod ntfy;
pub mod pushover;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod webhook;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request as it came.
pub struct Request {
    /// `POST` …
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All of them.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Bytes,
}

/// What a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Of the body; empty = none.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", body: body.to_string() }
    }

    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/html", body: body.to_owned() }
    }

    fn empty(status: u16) -> Self {
        Self { status, content_type: "", body: String::new() }
    }
}

/// A message that the service took.
pub struct Taken {
    /// What it says.
    pub message: Value,
    /// What the service answers.
    pub answer: Answer,
}

/// A request that it did not take.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong, for the test.
    pub why: String,
    /// What the service answers.
    pub answer: Answer,
}

/// What a service makes of a request.
pub type Verdict = Result<Taken, Refused>;

#[derive(Default)]
struct Seen {
    taken: Vec<Value>,
    refused: Vec<String>,
}

/// A running receiver. It ends with its handle.
pub struct Receiver {
    url: String,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that judges as `service` does.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(service: impl Fn(&Request) -> Verdict + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let seen = Arc::<Mutex<Seen>>::default();
        let (noted, service) = (Arc::clone(&seen), Arc::new(service));
        let app = Router::new().fallback(async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let verdict = service(&Request { method, uri, headers, body });
            let mut noted = lock(&noted);
            match verdict {
                Ok(Taken { message, answer }) => {
                    noted.taken.push(message);
                    response(answer)
                }
                Err(Refused { why, answer }) => {
                    noted.refused.push(why);
                    response(answer)
                }
            }
        });
        let serving = tokio::spawn(async move {
            // It serves until the handle is dropped; then nobody is left to hear of an error.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, seen, serving })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The one message that came since the last call.
    ///
    /// # Errors
    /// None came, or several, or something was refused; says what and why.
    pub fn message(&self) -> Result<Value> {
        let seen = std::mem::take(&mut *lock(&self.seen));
        anyhow::ensure!(seen.refused.is_empty(), "refused: {:?}", seen.refused);
        anyhow::ensure!(seen.taken.len() <= 1, "more than one message: {:?}", seen.taken);
        seen.taken.into_iter().next().context("no message came")
    }

    /// Why requests were refused since the last call.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.seen).refused)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn response(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer.content_type {
        "" => status.into_response(),
        kind => (status, [(header::CONTENT_TYPE, kind)], answer.body).into_response(),
    }
}

/// The content type without its parameters.
fn content_type(request: &Request) -> &str {
    let text = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// A JSON object that was called one.
fn object(request: &Request) -> Result<Map<String, Value>, String> {
    if content_type(request) != "application/json" {
        return Err(format!("the content type is {:?}", content_type(request)));
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(format!("not an object: {other}")),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

/// Refuses what the service would leave out without a word.
fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{name}: there is no such field")),
        None => Ok(()),
    }
}

/// A text within its limit, where there is one; UTF-16 units, which no service counts fewer of.
fn text(fields: &Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, String> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.encode_utf16().count() <= most => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!("{name}: longer than {most}")),
        Some(other) => Err(format!("{name}: no text: {other}")),
    }
}

/// An integer within its range, where there is one.
fn integer(fields: &Map<String, Value>, name: &str, from: i64, to: i64) -> Result<Option<i64>, String> {
    match fields.get(name).map(|value| value.as_i64().filter(|number| (from..=to).contains(number)).ok_or(value)) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(value)) => Err(format!("{name}: not from {from} to {to}: {value}")),
    }
}

/// A boolean, where there is one.
fn boolean(fields: &Map<String, Value>, name: &str) -> Result<(), String> {
    match fields.get(name) {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(other) => Err(format!("{name}: neither true nor false: {other}")),
    }
}

/// A web address, where there is one.
fn web_address(fields: &Map<String, Value>, name: &str, most: usize) -> Result<(), String> {
    let Some(address) = text(fields, name, most)? else { return Ok(()) };
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let is_one = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(' '));
    if is_one { Ok(()) } else { Err(format!("{name}: no web address: {address}")) }
}

/// One of some words, where there is one, in any case.
fn word(fields: &Map<String, Value>, name: &str, known: &[&str]) -> Result<(), String> {
    match text(fields, name, 100)? {
        Some(text) if !known.iter().any(|word| word.eq_ignore_ascii_case(&text)) => {
            Err(format!("{name}: {text} is none of {known:?}"))
        }
        _ => Ok(()),
    }
}

/// A field as an object.
fn inner<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what}: not an object: {value}"))
}

#[cfg(test)]
mod samples {
    use super::*;

    /// A request with a body.
    pub(super) fn posted(path: &str, content_type: &str, body: &str) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
        let uri = path.parse().expect("a path");
        Request { method: Method::POST, uri, headers, body: Bytes::from(body.to_owned()) }
    }

    /// One with JSON.
    pub(super) fn json_posted(path: &str, body: &Value) -> Request {
        posted(path, "application/json", &body.to_string())
    }

    /// `value` with the field at `pointer` set.
    pub(super) fn with(mut value: Value, pointer: &str, to: Value) -> Value {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        value.pointer_mut(parent).expect("a parent")[name] = to;
        value
    }
}
