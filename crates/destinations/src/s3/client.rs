//! One signed request after another: bounded answers, bounded waiting, repeated where that can help. Nothing is sent
//! that is not signed with the destination's own keys, and no answer is held that is longer than was asked for.

use super::address::Address;
use super::answer::{Asked, Refused, judge};
use super::xml::Leaves;
use super::{Outside, Pace};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::{Bytes, BytesMut};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_egress::{EgressError, HttpError};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Response, StatusCode, Url};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Bytes of a body in one piece: what counts as movement.
const PIECE_BYTES: usize = 64 << 10;
/// Most bytes of an answer that is no object: errors, lists.
pub(super) const ANSWER_BYTES: usize = 1 << 20;
/// No request takes longer than this, and the time its bytes need at the slowest pace.
const BASE_LIMIT: Duration = Duration::from_secs(300);
/// The slowest pace, bytes a second.
const SLOWEST: u64 = 8 << 10;

/// Speaks to one bucket.
pub(super) struct Client {
    pub(super) address: Address,
    credentials: Credentials,
    outside: Outside,
    pub(super) pace: Pace,
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) step: Step,
    pub(super) right: &'static str,
    pub(super) method: Method,
    /// None: the bucket.
    pub(super) key: Option<&'a str>,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) body: &'a [Bytes],
    /// Most bytes of the answer.
    pub(super) answer_max: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(step: Step, right: &'static str, method: Method, key: Option<&'a str>) -> Self {
        Self { step, right, method, key, query: &[], headers: &[], body: &[], answer_max: ANSWER_BYTES }
    }
}

/// An answer that was read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How long one object may spend waiting between tries, all its requests together.
#[derive(Default)]
pub(super) struct Waited(AtomicU64);

impl Client {
    pub(super) fn new(address: Address, credentials: Credentials, outside: Outside, pace: Pace) -> Self {
        Self { address, credentials, outside, pace }
    }

    /// The same with little patience, `stall` at most for a silent store.
    pub(super) fn hasty(&self, stall: Duration) -> Self {
        let address = self.address.clone();
        let pace = Pace { tries: self.pace.tries.min(2), stall: self.pace.stall.min(stall), ..self.pace };
        Self { address, credentials: self.credentials.clone(), outside: self.outside.clone(), pace }
    }

    /// Sends `call` until it is answered well, cannot be, or was tried often enough.
    pub(super) async fn send(&self, call: &Call<'_>, waited: &Waited) -> Result<Answer, Refused> {
        let mut tries = 1;
        loop {
            let refused = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            if !refused.may_repeat || tries == self.pace.tries {
                return Err(refused);
            }
            let pause = self.pause(tries, refused.after);
            let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            if waited.0.fetch_add(millis, Ordering::Relaxed) > self.pace.waiting_millis() {
                return Err(refused);
            }
            tracing::debug!(right = call.right, tries, "a store's answer is asked for again: {}", refused.failure);
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    /// Doubled each time, at random between half and whole, never shorter than the store asked for; bounded.
    fn pause(&self, tries: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.pace.first_pause.saturating_mul(1 << (tries - 1).min(16));
        let longest = self.pace.longest_pause;
        let random = f64::from(u32::try_from((self.outside.random)() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let pause = doubled.min(longest).mul_f64(0.5 + random / 2.0);
        pause.max(asked.unwrap_or_default().min(longest))
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, Refused> {
        let moved = Arc::new(AtomicU64::new(0));
        let request = self.request(call, &moved).map_err(Refused::final_one)?;
        let bytes = call.body.iter().map(Bytes::len).sum::<usize>() + call.answer_max;
        let limit = BASE_LIMIT + Duration::from_secs(bytes as u64 / SLOWEST);
        let answering = async {
            let response = self.outside.http.send(request).await.map_err(|e| self.unanswered(call.step, &e))?;
            self.read(call, response, &moved).await
        };
        let watched = self.while_moving(call.step, &moved, answering);
        let too_long = |_| Refused::broken(call.step, format!("The store took longer than {} s.", limit.as_secs()));
        tokio::time::timeout(limit, watched).await.map_err(too_long)?
    }

    /// `work`, as long as something moves.
    async fn while_moving<T>(
        &self,
        step: Step,
        moved: &AtomicU64,
        work: impl Future<Output = Result<T, Refused>>,
    ) -> Result<T, Refused> {
        tokio::pin!(work);
        loop {
            let before = moved.load(Ordering::Relaxed);
            if let Ok(done) = tokio::time::timeout(self.pace.stall, &mut work).await {
                return done;
            }
            if moved.load(Ordering::Relaxed) == before {
                let detail = format!("The store moved nothing for {} s.", self.pace.stall.as_secs());
                return Err(Refused::broken(step, detail));
            }
        }
    }

    async fn read(&self, call: &Call<'_>, mut response: Response, moved: &AtomicU64) -> Result<Answer, Refused> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let max = if status.is_success() { call.answer_max } else { ANSWER_BYTES };
        let told = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let told = told.filter(|_| call.method != Method::HEAD).unwrap_or(0);
        let mut body = BytesMut::with_capacity(told.min(max));
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|_| Refused::broken(call.step, "The store's answer broke off."))? else {
                break;
            };
            if body.len() + chunk.len() > max {
                let detail = format!("The store's answer to {} is longer than allowed.", call.right);
                return Err(Refused { may_repeat: false, ..Refused::broken(call.step, detail) });
            }
            body.extend_from_slice(&chunk);
            moved.fetch_add(1, Ordering::Relaxed);
        }
        let is_error = !status.is_success() || (call.method == Method::POST && is_error(&body));
        if is_error {
            let bucket = &self.address.bucket;
            let asked = Asked { step: call.step, right: call.right, bucket, now: (self.outside.now)() };
            return Err(judge(&asked, status, &headers, &body));
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Signed at the moment it is sent: a signature is good for minutes.
    fn request(&self, call: &Call<'_>, moved: &Arc<AtomicU64>) -> Result<Request, Failure> {
        let url = self.address.url(call.key, call.query)?;
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).map_err(|_| unsigned())?);
        }
        self.sign(call, &url, &mut headers)?;
        let mut request = Request::new(call.method.clone(), url);
        if matches!(call.method, Method::PUT | Method::POST) {
            let length: usize = call.body.iter().map(Bytes::len).sum();
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length as u64));
            if length > 0 {
                *request.body_mut() = Some(body(call.body.to_vec(), moved.clone()));
            }
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The payload is not part of the signature (that would read every byte once more); its MD5, where a call carries
    /// one, is.
    fn sign(&self, call: &Call<'_>, url: &Url, headers: &mut HeaderMap) -> Result<(), Failure> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.address.region)
            .name("s3")
            .time(SystemTime::from((self.outside.now)()))
            .settings(settings)
            .build()
            .map_err(|_| unsigned())?;
        let params = params.into();
        let signed = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let payload = if call.body.is_empty() { SignableBody::Bytes(b"") } else { SignableBody::UnsignedPayload };
        let request = SignableRequest::new(call.method.as_str(), url.as_str(), signed, payload);
        let signed = sign(request.map_err(|_| unsigned())?, &params).map_err(|_| unsigned())?;
        let (instructions, _) = signed.into_parts();
        let (added, _) = instructions.into_parts();
        for header in added {
            let mut value = HeaderValue::from_str(header.value()).map_err(|_| unsigned())?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }

    fn unanswered(&self, step: Step, error: &HttpError) -> Refused {
        let at_connect = |code| Refused::final_one(Failure::new(Step::Connect, code, sentence(error)));
        match error {
            HttpError::Egress(EgressError::Blocked { .. }) => at_connect(FailureCode::BlockedEgress),
            HttpError::Url => at_connect(FailureCode::InvalidConfig),
            HttpError::Tls(_) => at_connect(FailureCode::DestinationRefused),
            HttpError::Egress(_) | HttpError::Connect(_) => Refused::broken(Step::Connect, sentence(error)),
            HttpError::Broken(_) => Refused::broken(step, sentence(error)),
        }
    }
}

fn sentence(error: &HttpError) -> String {
    format!("The store cannot be used: {error}.")
}

/// S3 answers a POST with 200 before it knows the end, and then says in the body that it failed.
fn is_error(body: &[u8]) -> bool {
    Leaves::read(body).is_ok_and(|leaves| leaves.is_rooted_at("Error"))
}

/// The chunks as they are, piece by piece, with every piece that goes counted.
fn body(chunks: Vec<Bytes>, moved: Arc<AtomicU64>) -> Body {
    let pieces = chunks.into_iter().flat_map(|chunk| {
        let starts = (0..chunk.len()).step_by(PIECE_BYTES);
        starts.map(move |at| chunk.slice(at..chunk.len().min(at + PIECE_BYTES)))
    });
    let counted = pieces.map(move |piece| {
        moved.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(piece)
    });
    Body::wrap_stream(futures_util::stream::iter(counted))
}

fn unsigned() -> Failure {
    let detail =
        "A request could not be signed: the destination's keys or names hold characters that have no place there.";
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}
