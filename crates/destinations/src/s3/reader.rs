//! Reads a stored object by ranges. A changed object is never read on with: every range must be of the object that was
//! opened, whole, and of the size that was recorded.

use super::answer::Refused;
use super::client::{Answer, Call, Client, Waited};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::ObjectReader;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Asked of the store at a time when a reader goes forward: one answer for many small reads.
const AHEAD_BYTES: usize = 8 << 20;

/// An object as the store describes it.
pub(super) struct Seen {
    pub(super) size_bytes: u64,
    pub(super) etag: Option<String>,
}

/// Looks at an object by asking for its first byte: unlike HEAD, that says why it cannot be had.
pub(super) async fn look(client: &Client, key: &str, step: Step, waited: &Waited) -> Result<Seen, Refused> {
    let headers = [("range", "bytes=0-0".to_owned())];
    let call = Call { headers: &headers, ..Call::new(step, "s3:GetObject", Method::GET, Some(key)) };
    let answer = match client.send(&call, waited).await {
        Ok(answer) => answer,
        // An object without bytes has no first one.
        Err(refused) if refused.is(&["InvalidRange"]) => {
            let call = Call::new(step, "s3:GetObject", Method::HEAD, Some(key));
            let answer = client.send(&call, waited).await?;
            let size_bytes = answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            return Ok(Seen { size_bytes, etag: answer.header("etag").map(str::to_owned) });
        }
        Err(refused) => return Err(refused),
    };
    let etag = answer.header("etag").map(str::to_owned);
    match answer.status {
        StatusCode::PARTIAL_CONTENT => match range(&answer) {
            Some((0, 0, size_bytes)) => Ok(Seen { size_bytes, etag }),
            _ => Err(not_the_range(step)),
        },
        // The range was ignored, which is allowed for a whole object of one byte or none.
        _ if answer.body.len() <= 1 => Ok(Seen { size_bytes: answer.body.len() as u64, etag }),
        _ => Err(not_the_range(step)),
    }
}

/// An object that was looked at.
pub(super) struct S3Reader {
    client: Arc<Client>,
    key: String,
    seen: Seen,
    waited: Waited,
    ahead: Mutex<Ahead>,
}

/// What was read and not yet asked for.
#[derive(Default)]
struct Ahead {
    start: u64,
    bytes: Bytes,
}

impl Ahead {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl S3Reader {
    pub(super) fn new(client: Arc<Client>, key: String, seen: Seen) -> Self {
        Self { client, key, seen, waited: Waited::default(), ahead: Mutex::default() }
    }

    async fn fetch(&self, offset: u64, len: usize) -> Result<Bytes, Refused> {
        let last = offset + len as u64 - 1;
        let mut headers = vec![("range", format!("bytes={offset}-{last}"))];
        headers.extend(self.seen.etag.clone().map(|etag| ("if-match", etag)));
        let new = Call::new(Step::ReadCopy, "s3:GetObject", Method::GET, Some(&self.key));
        let answer = self.client.send(&Call { headers: &headers, answer_max: len, ..new }, &self.waited).await?;
        let is_right = answer.status == StatusCode::PARTIAL_CONTENT
            && range(&answer) == Some((offset, last, self.seen.size_bytes))
            && answer.body.len() == len;
        if is_right { Ok(answer.body) } else { Err(not_the_range(Step::ReadCopy)) }
    }
}

#[async_trait]
impl ObjectReader for S3Reader {
    fn size_bytes(&self) -> u64 {
        self.seen.size_bytes
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure> {
        let left = usize::try_from(self.seen.size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(left);
        if len == 0 {
            return Ok(Bytes::new());
        }
        let mut ahead = self.ahead.lock().await;
        if !(ahead.start..ahead.end()).contains(&offset) {
            let goes_forward = offset == ahead.end();
            let want = if goes_forward { len.max(AHEAD_BYTES) } else { len }.min(left).min(AHEAD_BYTES);
            *ahead = Ahead { start: offset, bytes: Bytes::new() };
            ahead.bytes = self.fetch(offset, want).await?;
        }
        let from = usize::try_from(offset - ahead.start).unwrap_or(usize::MAX);
        let to = ahead.bytes.len().min(from.saturating_add(len));
        Ok(ahead.bytes.slice(from..to))
    }
}

/// First byte, last byte and size of a partial answer.
fn range(answer: &Answer) -> Option<(u64, u64, u64)> {
    let text = answer.header("content-range")?.strip_prefix("bytes ")?;
    let (span, size) = text.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

fn not_the_range(step: Step) -> Refused {
    let detail = "The store gave another part of the object than was asked for, or the object changed.";
    Refused::final_one(Failure::new(step, FailureCode::CopyDamaged, detail))
}
