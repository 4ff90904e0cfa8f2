//! Writes one object: parts of equal size, a few on their way at a time, made one object at the end, and then proved to
//! be what was written. Nothing has a name at the store before that.
//!
//! Bytes are never copied here: a part is the chunks it came in, so several destinations hold the same memory.

use super::answer::Refused;
use super::client::{Call, Client, Waited};
use super::reader::{S3Reader, look};
use super::remove;
use super::xml::Leaves;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::digest::Hasher;
use holdfast_pipeline::{ObjectReader as _, Sink};
use md5::{Digest as _, Md5};
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Bytes of a part. Some stores want all but the last equal; with 10,000 of them an object has at most 78 GiB.
pub(super) const PART_BYTES: usize = 8 << 20;
/// More than these no store takes.
const MOST_PARTS: usize = 10_000;
/// Parts on their way at a time, beside the one that fills.
const FLYING: usize = 2;
/// How long an abort talks to the store; what it could not remove is removed by its record.
const ABORT_LIMIT: Duration = Duration::from_secs(8);

/// An object in the making.
pub(super) struct S3Sink {
    client: Arc<Client>,
    name: String,
    key: Arc<str>,
    filling: Vec<Bytes>,
    filling_bytes: usize,
    hasher: Hasher,
    /// None: everything fits into one part so far, and nothing was sent.
    upload: Option<Arc<str>>,
    started: usize,
    flying: JoinSet<Result<Part, Failure>>,
    parts: Vec<Part>,
    waited: Arc<Waited>,
}

/// A part that the store has.
struct Part {
    number: usize,
    etag: String,
    md5: [u8; 16],
}

/// A part to be sent.
struct Cargo {
    number: usize,
    chunks: Vec<Bytes>,
    md5: [u8; 16],
}

impl S3Sink {
    pub(super) fn new(client: Arc<Client>, name: String, key: String) -> Self {
        Self {
            client,
            name,
            key: key.into(),
            filling: Vec::new(),
            filling_bytes: 0,
            hasher: Hasher::default(),
            upload: None,
            started: 0,
            flying: JoinSet::new(),
            parts: Vec::new(),
            waited: Arc::default(),
        }
    }

    /// Hashes what has filled, on a thread that may take its time.
    async fn hashed(&mut self) -> Result<Cargo, Failure> {
        let chunks = std::mem::take(&mut self.filling);
        self.filling_bytes = 0;
        let mut hasher = std::mem::take(&mut self.hasher);
        let hashing = tokio::task::spawn_blocking(move || {
            let mut md5 = Md5::new();
            for chunk in &chunks {
                hasher.update(chunk);
                md5.update(chunk);
            }
            (hasher, md5.finalize().into(), chunks)
        });
        let (hasher, md5, chunks) = hashing.await.map_err(|e| internal(&format!("Hashing ended: {e}.")))?;
        self.hasher = hasher;
        self.started += 1;
        Ok(Cargo { number: self.started, chunks, md5 })
    }

    async fn send_part(&mut self) -> Result<(), Failure> {
        if self.started == MOST_PARTS {
            let detail = "The object has more parts than a store takes; the operator must lower `destinations.object_limit_bytes`.";
            return Err(Failure::new(Step::Stream, FailureCode::InvalidConfig, detail));
        }
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let upload: Arc<str> = begin(&self.client, &self.key, Step::Stream, &self.waited).await?.into();
                self.upload.insert(upload).clone()
            }
        };
        let cargo = self.hashed().await?;
        while self.flying.len() >= FLYING {
            self.land().await?;
        }
        let (client, key, waited) = (self.client.clone(), self.key.clone(), self.waited.clone());
        self.flying.spawn(async move { put_part(&client, &key, &upload, cargo, &waited).await });
        Ok(())
    }

    /// Waits for one of the parts on their way.
    async fn land(&mut self) -> Result<(), Failure> {
        match self.flying.join_next().await {
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(e)) => return Err(internal(&format!("Sending a part ended: {e}."))),
            None => (),
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<ManifestObject, Failure> {
        self.settle().await?;
        let expected = match self.upload.clone() {
            Some(upload) => self.complete(&upload).await?,
            None => self.put_whole().await?,
        };
        let digest = std::mem::take(&mut self.hasher).finish();
        self.prove(&expected, &digest).await?;
        Ok(ManifestObject { name: self.name.clone(), digest })
    }

    /// The object in one request; the ETag it must have.
    async fn put_whole(&mut self) -> Result<String, Failure> {
        let cargo = self.hashed().await?;
        let headers = [("content-md5", STANDARD.encode(cargo.md5))];
        let new = Call::new(Step::FinishDestination, "s3:PutObject", Method::PUT, Some(&self.key));
        self.client.send(&Call { headers: &headers, body: &cargo.chunks, ..new }, &self.waited).await?;
        Ok(hex::encode(cargo.md5))
    }

    /// Makes one object of the parts; the ETag it must have.
    async fn complete(&mut self, upload: &str) -> Result<String, Failure> {
        self.parts.sort_by_key(|part| part.number);
        let mut list = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        let mut all = Md5::new();
        for part in &self.parts {
            all.update(part.md5);
            list.push_str(&format!(
                "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
                part.number,
                part.etag.replace('"', "&quot;")
            ));
        }
        list.push_str("</CompleteMultipartUpload>");
        let (body, query) = ([Bytes::from(list)], [("uploadId", upload)]);
        let new = Call::new(Step::FinishDestination, "s3:PutObject", Method::POST, Some(&self.key));
        match self.client.send(&Call { query: &query, body: &body, ..new }, &self.waited).await {
            Ok(_) => (),
            // An earlier try may have done it although its answer was lost; the proof that follows decides.
            Err(refused) if refused.is(&["NoSuchUpload"]) => (),
            Err(refused) => return Err(refused.into()),
        }
        Ok(format!("{}-{}", hex::encode(all.finalize()), self.parts.len()))
    }

    /// The store has an object of this size whose ETag is the MD5 of what was sent; where its ETags are something else,
    /// everything is read back.
    async fn prove(&self, expected: &str, digest: &Digest) -> Result<(), Failure> {
        let wrong = |detail: String| Failure::new(Step::Verify, FailureCode::VerifyFailed, detail);
        let seen = look(&self.client, &self.key, Step::Verify, &self.waited).await.map_err(|refused| {
            let is_absent = refused.failure.code == FailureCode::CopyDamaged;
            let absent = || wrong("The store does not have the object that it took.".to_owned());
            if is_absent { absent() } else { refused.into() }
        })?;
        if seen.size_bytes != digest.size_bytes {
            let detail = format!("The store has {} bytes; {} were written.", seen.size_bytes, digest.size_bytes);
            return Err(wrong(detail));
        }
        let etag = seen.etag.as_deref().map(|etag| etag.trim_matches('"').to_ascii_lowercase());
        if etag.as_deref() == Some(expected) {
            return Ok(());
        }
        let reader = S3Reader::new(self.client.clone(), self.key.to_string(), seen);
        if read_whole(&reader).await? == *digest {
            return Ok(());
        }
        Err(wrong("The store gave other bytes back.".to_owned()))
    }

    /// Whatever is there of it.
    async fn clean_up(&mut self) {
        self.flying.shutdown().await;
        let removing = async {
            let step = Step::FinishDestination;
            match &self.upload {
                Some(upload) => end(&self.client, &self.key, upload, step).await,
                None => Ok(()),
            }
        };
        match tokio::time::timeout(ABORT_LIMIT, removing).await {
            Ok(Ok(())) => (),
            Ok(Err(refused)) => {
                tracing::warn!("an unfinished upload stays until it is removed by its record: {}", refused.failure);
            }
            Err(_) => tracing::warn!("the store did not answer; an unfinished upload is removed later by its record"),
        }
    }
}

#[async_trait]
impl Sink for S3Sink {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let head = bytes.split_to(bytes.len().min(PART_BYTES - self.filling_bytes));
            self.filling_bytes += head.len();
            self.filling.push(head);
            if self.filling_bytes == PART_BYTES {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Failure> {
        if self.upload.is_some() && self.filling_bytes > 0 {
            self.send_part().await?;
        }
        while !self.flying.is_empty() {
            self.land().await?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<ManifestObject, Failure> {
        let finished = self.finish().await;
        if finished.is_err() {
            self.clean_up().await;
            // What was refused after it got its name is nobody's.
            let removing = remove(&self.client, &self.key, Step::FinishDestination);
            if !matches!(tokio::time::timeout(ABORT_LIMIT, removing).await, Ok(Ok(()))) {
                tracing::warn!("an object that was not proved is removed later by its record");
            }
        }
        finished
    }

    async fn abort(mut self: Box<Self>) {
        self.clean_up().await;
    }
}

/// Starts an upload in parts; its id.
pub(super) async fn begin(client: &Client, key: &str, step: Step, waited: &Waited) -> Result<String, Refused> {
    let new = Call::new(step, "s3:PutObject", Method::POST, Some(key));
    let answer = client.send(&Call { query: &[("uploads", "")], ..new }, waited).await?;
    let leaves = Leaves::read(&answer.body).ok();
    let id = leaves.as_ref().and_then(|leaves| leaves.first("InitiateMultipartUploadResult/UploadId"));
    let id = id.filter(|id| !id.is_empty() && id.len() <= 4096).map(str::to_owned);
    id.ok_or_else(|| Refused::broken(step, "The store began an upload without saying which."))
}

/// Ends an upload whose parts are not wanted; one that is gone already is fine.
pub(super) async fn end(client: &Client, key: &str, upload: &str, step: Step) -> Result<(), Refused> {
    let new = Call::new(step, "s3:AbortMultipartUpload", Method::DELETE, Some(key));
    match client.send(&Call { query: &[("uploadId", upload)], ..new }, &Waited::default()).await {
        Ok(_) => Ok(()),
        Err(refused) if refused.is(&["NoSuchUpload", "NoSuchKey"]) => Ok(()),
        Err(refused) => Err(refused),
    }
}

async fn put_part(client: &Client, key: &str, upload: &str, cargo: Cargo, waited: &Waited) -> Result<Part, Failure> {
    let number = cargo.number.to_string();
    let query = [("partNumber", number.as_str()), ("uploadId", upload)];
    let headers = [("content-md5", STANDARD.encode(cargo.md5))];
    let new = Call::new(Step::Stream, "s3:PutObject", Method::PUT, Some(key));
    let answer = client.send(&Call { query: &query, headers: &headers, body: &cargo.chunks, ..new }, waited).await?;
    let etag = answer.header("etag").filter(|etag| is_etag(etag));
    let missing =
        || Failure::new(Step::Stream, FailureCode::DestinationFailed, "The store took a part without an ETag.");
    Ok(Part { number: cargo.number, etag: etag.ok_or_else(missing)?.to_owned(), md5: cargo.md5 })
}

/// It goes into XML of ours.
fn is_etag(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'"' | b'-' | b'_' | b'.' | b'+' | b'/' | b'='))
}

async fn read_whole(reader: &S3Reader) -> Result<Digest, Failure> {
    let (mut hasher, mut at) = (Hasher::default(), 0);
    loop {
        let bytes =
            reader.read_at(at, PART_BYTES).await.map_err(|failure| Failure { step: Step::Verify, ..failure })?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        at += bytes.len() as u64;
        let hashing = tokio::task::spawn_blocking(move || {
            hasher.update(&bytes);
            hasher
        });
        hasher = hashing.await.map_err(|e| internal(&format!("Hashing ended: {e}.")))?;
    }
}

fn internal(detail: &str) -> Failure {
    Failure::new(Step::Stream, FailureCode::Internal, detail)
}
