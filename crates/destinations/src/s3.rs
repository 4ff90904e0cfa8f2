//! A bucket of any store that speaks S3.
//!
//! Requests go through the egress guard's client and carry the destination's own keys, never any that the worker finds
//! around itself. Objects lie under a folder of the destination's own, so that two destinations on one bucket never
//! share an object. What an unfinished attempt left is found by its exact name.

mod address;
mod answer;
mod client;
mod reader;
mod upload;
mod xml;

use crate::{Destination, Usage, probe};
use address::{Address, is_object_name};
use answer::Refused;
use async_trait::async_trait;
use aws_credential_types::Credentials;
use chrono::{DateTime, Utc};
use client::{Call, Client, Waited};
use holdfast_domain::check::{CheckStep, is_ok};
use holdfast_domain::destination::{DestinationConfig, DestinationKind};
use holdfast_domain::manifest::ManifestObject;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::GuardedHttp;
use holdfast_pipeline::{ObjectReader, Sink};
use reader::{S3Reader, look};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use std::time::Duration;
use upload::{S3Sink, begin, end};
use xml::Leaves;

/// Unfinished uploads of one name that are ended at most: an attempt leaves one.
const MOST_UNFINISHED: usize = 50;

/// A check does not wait longer for a silent store.
const CHECK_STALL: Duration = Duration::from_secs(8);
/// Nor does a deletion: it is asked for again later, and other destinations wait behind it.
const DELETE_STALL: Duration = Duration::from_secs(30);
/// Somebody waits for a check, half a minute at most.
const CHECK_LIMIT: Duration = Duration::from_secs(20);
/// What a check that failed may take for its traces.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

/// A destination's row, with its secrets opened.
pub struct S3Settings {
    /// Which of the S3 kinds.
    pub kind: DestinationKind,
    /// Bucket, region, endpoint.
    pub config: DestinationConfig,
    /// The public half of the keys.
    pub access_key: SecretString,
    /// The secret half.
    pub secret_key: SecretString,
    /// What every key starts with.
    pub folder: String,
}

/// What the destination is given of the world.
#[derive(Clone)]
pub struct Outside {
    /// The only way out.
    pub http: GuardedHttp,
    /// Time, for signatures.
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// 64 random bits, so that requests which failed together do not come back together.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// How patient it is.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Tries of one request.
    pub tries: u32,
    /// Pause after the first failed try; doubled after each.
    pub first_pause: Duration,
    /// Longest pause, also where the store asks for a longer one.
    pub longest_pause: Duration,
    /// Pauses of one object, all its requests together.
    pub waiting: Duration,
    /// A request in which nothing moves for so long is given up.
    pub stall: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            tries: 7,
            first_pause: Duration::from_millis(250),
            longest_pause: secs(30),
            waiting: secs(600),
            stall: secs(120),
        }
    }
}

impl Pace {
    fn waiting_millis(self) -> u64 {
        u64::try_from(self.waiting.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A folder of a bucket.
pub struct S3Destination {
    client: Arc<Client>,
    folder: String,
}

impl S3Destination {
    /// The destination that `settings` describe. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidConfig` if no address or signature can be made of them; `SecretUnavailable` for empty keys.
    pub fn new(settings: S3Settings, outside: Outside, pace: Pace) -> Result<Self, Failure> {
        let address = Address::of(&settings)?;
        let (access, secret) = (settings.access_key.expose_secret().trim(), settings.secret_key.expose_secret().trim());
        if access.is_empty() || secret.is_empty() {
            let detail = "The destination has no keys; there are no others that it would use.";
            return Err(Failure::new(Step::Prepare, FailureCode::SecretUnavailable, detail));
        }
        let credentials = Credentials::new(access, secret, None, None, "destination");
        let client = Arc::new(Client::new(address, credentials, outside, pace));
        Ok(Self { client, folder: settings.folder })
    }

    fn key(&self, step: Step, name: &str) -> Result<String, Failure> {
        if is_object_name(name) {
            return Ok(format!("{}{name}", self.folder));
        }
        Err(Failure::new(step, FailureCode::InvalidConfig, "The object's name is no plain path."))
    }

    /// The steps of a check; whether there was a store to speak to.
    async fn check_all(&self, name: &str, steps: &mut Vec<CheckStep>) -> bool {
        if let Err(failure) = probe::write_and_read(self, name, steps).await {
            return failure.step != Step::Connect;
        }
        match self.check_delete(name).await {
            Ok(()) => {
                steps.push(CheckStep::passed("delete", "It was deleted again, and an unfinished upload with it."))
            }
            Err(failure) => steps.push(CheckStep::failed("delete", &failure)),
        }
        true
    }

    /// Deletes the probe, together with an upload of its name that was begun and left: what a dead worker leaves.
    async fn check_delete(&self, name: &str) -> Result<(), Failure> {
        let key = self.key(Step::FinishDestination, name)?;
        begin(&self.client, &key, Step::Stream, &Waited::default()).await?;
        self.delete(name).await?;
        match look(&self.client, &key, Step::Verify, &Waited::default()).await {
            // Amazon says the second to keys without the right to list; this one was readable a moment ago.
            Err(refused) if refused.is(&["NoSuchKey", "AccessDenied"]) => Ok(()),
            Err(refused) => Err(refused.into()),
            Ok(_) => {
                let detail = "The object can still be read after it was deleted.";
                Err(Failure::new(Step::FinishDestination, FailureCode::DestinationFailed, detail))
            }
        }
    }
}

#[async_trait]
impl Destination for S3Destination {
    async fn put(&self, name: &str) -> Result<Box<dyn Sink>, Failure> {
        let key = self.key(Step::Stream, name)?;
        Ok(Box::new(S3Sink::new(self.client.clone(), name.to_owned(), key)))
    }

    async fn open(&self, object: &ManifestObject) -> Result<Arc<dyn ObjectReader>, Failure> {
        let key = self.key(Step::ReadCopy, &object.name)?;
        let seen = look(&self.client, &key, Step::ReadCopy, &Waited::default()).await?;
        if seen.size_bytes != object.digest.size_bytes {
            let detail = format!("The copy has {} bytes; {} were stored.", seen.size_bytes, object.digest.size_bytes);
            return Err(Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, detail));
        }
        Ok(Arc::new(S3Reader::new(self.client.clone(), key, seen)))
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let step = Step::FinishDestination;
        let key = self.key(step, name)?;
        let client = self.client.hasty(DELETE_STALL);
        remove(&client, &key, step).await?;
        for _ in 0..MOST_UNFINISHED {
            let found = unfinished(&client, &key, step).await?;
            if found.is_empty() {
                return Ok(());
            }
            for upload in found {
                end(&client, &key, &upload, step).await?;
            }
        }
        let detail = "The store goes on listing unfinished uploads that were ended.";
        Err(Failure::new(step, FailureCode::DestinationFailed, detail))
    }

    async fn check(&self, probe_name: &str) -> Vec<CheckStep> {
        let mut steps = vec![CheckStep::passed("transport", transport(self.client.address.is_plain))];
        let hasty = Self { client: Arc::new(self.client.hasty(CHECK_STALL)), folder: self.folder.clone() };
        let checked = tokio::time::timeout(CHECK_LIMIT, hasty.check_all(probe_name, &mut steps)).await;
        let is_reached = checked.unwrap_or_else(|_| {
            let detail = format!("The store was not done within {} s.", CHECK_LIMIT.as_secs());
            let failure = Failure::new(Step::Stream, FailureCode::DestinationFailed, detail);
            let next = ["write", "read_back", "delete"][(steps.len() - 1).min(2)];
            steps.push(CheckStep::failed(next, &failure));
            true
        });
        if is_reached && !is_ok(&steps) {
            // What there may be of the probe goes; what failed has been said already.
            drop(tokio::time::timeout(CLEAN_LIMIT, hasty.delete(probe_name)).await);
        }
        steps
    }

    /// S3 does not say.
    async fn usage(&self) -> Result<Option<Usage>, Failure> {
        Ok(None)
    }
}

fn transport(is_plain: bool) -> &'static str {
    if is_plain {
        "Warning: the endpoint is plain http. Keys are never sent, but whoever is in between sees names, and the bytes of \
         backups that are not encrypted. Use https."
    } else {
        "The endpoint is https; its certificate is verified."
    }
}

/// Removes an object; one that is not there is fine, a bucket that is not there is not.
async fn remove(client: &Client, key: &str, step: Step) -> Result<(), Refused> {
    let call = Call::new(step, "s3:DeleteObject", Method::DELETE, Some(key));
    match client.send(&call, &Waited::default()).await {
        Ok(_) => Ok(()),
        Err(refused) if refused.is(&["NoSuchKey"]) => Ok(()),
        Err(refused) => Err(refused),
    }
}

/// Ids of the uploads of exactly `key` that were begun and not ended. Stores list by name, and the name itself comes
/// before all that begin with it: the first page has them.
async fn unfinished(client: &Client, key: &str, step: Step) -> Result<Vec<String>, Refused> {
    let query = [("uploads", ""), ("prefix", key)];
    let new = Call::new(step, "s3:ListBucketMultipartUploads", Method::GET, None);
    let answer = match client.send(&Call { query: &query, ..new }, &Waited::default()).await {
        Ok(answer) => answer,
        // A store without the listing cannot tell; its own lifecycle rule must end them.
        Err(refused) if refused.is(&["NotImplemented"]) => return Ok(Vec::new()),
        Err(refused) => return Err(refused),
    };
    let leaves = Leaves::read(&answer.body);
    let leaves = leaves.map_err(|_| Refused::broken(step, "The store's list of uploads cannot be read."))?;
    let (name, id) = ("ListMultipartUploadsResult/Upload/Key", "ListMultipartUploadsResult/Upload/UploadId");
    Ok(leaves.pairs(name, id).filter(|(name, _)| *name == key).map(|(_, id)| id.to_owned()).collect())
}
