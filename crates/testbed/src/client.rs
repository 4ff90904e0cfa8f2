//! A client of the REST API, as somebody else would write one: JSON over HTTP and nothing of our own types. For the
//! demo, the bench and tests from outside. It must never print or keep a token anywhere but in its own header.

use anyhow::{Context, Result, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Longest wait for one answer; a `check` may take 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Shorter than the servers' patience with a silent connection (`http.header_timeout_secs`): one that is just being closed
/// must not be taken for the next request.
const IDLE_LIMIT: Duration = Duration::from_secs(3);

/// The states in which a run or a restore goes on.
const UNFINISHED: [&str; 3] = ["queued", "running", "verifying"];

/// A client with one token, or none.
#[derive(Clone)]
pub struct ApiClient {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
    record: Option<Record>,
}

/// Every answer of some clients, headers and bodies one after the other, for a search through them. Not the streams of
/// [`ApiClient::download`].
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Vec<u8>>>);

impl Record {
    /// What was answered so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, headers: &reqwest::header::HeaderMap, body: &[u8]) {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.extend_from_slice(format!("{headers:?}\n").as_bytes());
        record.extend_from_slice(body);
        record.push(b'\n');
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null where it was no JSON.
    pub body: Value,
}

impl ApiClient {
    /// The same token at another installation.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// A client of `base`, `http://host:port` without `/api`.
    ///
    /// # Errors
    /// The HTTP client could not be made.
    pub fn new(base: &str, token: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(IDLE_LIMIT)
            .build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, http, record: None })
    }

    /// The same client, with every answer noted in `record`.
    #[must_use]
    pub fn recorded(mut self, record: &Record) -> Self {
        self.record = Some(record.clone());
        self
    }

    /// One request to `/api/<path>`; the status is the caller's to judge.
    ///
    /// # Errors
    /// No answer came.
    pub async fn raw(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let what = format!("{method} {path}");
        let mut request = self.request(method, path).timeout(ANSWER_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("{what}: no answer"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.with_context(|| format!("{what}: the answer broke off"))?;
        if let Some(record) = &self.record {
            record.add(&headers, &body);
        }
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// The body of a good answer.
    ///
    /// # Errors
    /// No answer, or one that is not 2xx: the message carries what the API said.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = self.raw(method.clone(), path, body).await?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path} answered {}: {}", answer.status, explanation(&answer.body));
        }
        Ok(answer.body)
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    /// `POST`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    /// Reads `path` (a run or a restore) every `poll` until its state is final; `on_read` sees each reading.
    ///
    /// # Errors
    /// As [`Self::call`], or the state was not final within `limit`.
    pub async fn finished(
        &self,
        path: &str,
        poll: Duration,
        limit: Duration,
        mut on_read: impl FnMut(&Value),
    ) -> Result<Value> {
        let started = Instant::now();
        loop {
            let read = self.get(path).await?["data"].take();
            on_read(&read);
            let status = read["status"].as_str().context("an answer without a status")?;
            if !UNFINISHED.contains(&status) {
                return Ok(read);
            }
            ensure!(started.elapsed() < limit, "{path} is still {status} after {} s", limit.as_secs());
            tokio::time::sleep(poll).await;
        }
    }

    /// Streams `GET path` into the new file `to`; returns its length.
    ///
    /// # Errors
    /// A bad answer, a broken stream, or a full disk.
    pub async fn download(&self, path: &str, to: &Path) -> Result<u64> {
        let mut response =
            self.request(Method::GET, path).send().await.with_context(|| format!("GET {path}: no answer"))?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let body = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
            bail!("GET {path} answered {status}: {}", explanation(&body));
        }
        let mut file =
            tokio::fs::File::create_new(to).await.with_context(|| format!("cannot make {}", to.display()))?;
        let mut len = 0;
        while let Some(chunk) = response.chunk().await.with_context(|| format!("GET {path}: the download broke off"))? {
            file.write_all(&chunk).await?;
            len += chunk.len() as u64;
        }
        file.flush().await?;
        Ok(len)
    }

    /// The bytes `range` of `GET path`.
    ///
    /// # Errors
    /// The answer is not exactly that part.
    pub async fn range(&self, path: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        let wanted = format!("bytes={}-{}", range.start, range.end - 1);
        let response = self.request(Method::GET, path).header(reqwest::header::RANGE, wanted).send().await?;
        let status = response.status().as_u16();
        ensure!(status == 206, "GET {path} answered {status} to a range");
        Ok(response.bytes().await?.to_vec())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// What an error body says, on one line.
fn explanation(body: &Value) -> String {
    let message = body["message"].as_str().unwrap_or("(no message)");
    match &body["errors"] {
        Value::Null => message.to_owned(),
        errors => format!("{message} {errors}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_is_explained_with_its_fields() {
        let body = json!({"message": "The given data was invalid.", "errors": {"label": ["The label is required."]}});
        assert_eq!(explanation(&body), r#"The given data was invalid. {"label":["The label is required."]}"#);
        assert_eq!(explanation(&Value::Null), "(no message)");
    }
}
