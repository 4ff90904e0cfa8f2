//! One POST to a receiver and its answer, bounded on every side: connection, time, bytes. No redirect is followed, no
//! proxy is used, nothing is decompressed, and no word of an answer leaves this module but a number of seconds.

use crate::error::{DeliveryCode, DeliveryError};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_egress::{EgressError, EgressGuard, GuardedHttp, HttpError};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Method, Request, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Most bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 << 10;
/// The longest wait that a receiver may ask for.
const AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a receiver may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the connection, its look-up and TLS.
    pub connect: Duration,
    /// For everything.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(10) }
    }
}

/// Sends what the channels have built.
#[derive(Clone)]
pub(crate) struct Sender {
    http: GuardedHttp,
    limits: Limits,
    now: Clock,
}

/// The present.
pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What is sent.
pub(crate) struct Post {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Post {
    /// `body` as JSON to `url`.
    pub(crate) fn json(url: Url, body: &Value) -> Self {
        Self::new(url, "application/json", body.to_string().into_bytes())
    }

    pub(crate) fn new(url: Url, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(USER_AGENT, HeaderValue::from_static("Holdfast"));
        Self { url, headers, body }
    }

    /// With a header whose value is a secret or came from a stream.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Result<Self, DeliveryError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| DeliveryError::last(DeliveryCode::InvalidTarget))?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }
}

/// Reads a receiver's address.
pub(crate) fn address(text: &str) -> Result<Url, DeliveryError> {
    Url::parse(text).map_err(|_| DeliveryError::last(DeliveryCode::InvalidTarget))
}

/// `base` with `segments` behind its own path, each as one segment whatever is in it.
pub(crate) fn below(base: &Url, segments: &[&str]) -> Result<Url, DeliveryError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| DeliveryError::last(DeliveryCode::InvalidTarget))?
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

impl Sender {
    pub(crate) fn new(guard: EgressGuard, limits: Limits, now: Clock) -> Result<Self, HttpError> {
        Ok(Self { http: GuardedHttp::with_connect_limit(guard, limits.connect)?, limits, now })
    }

    pub(crate) async fn send(&self, post: Post) -> Result<(), DeliveryError> {
        let mut request = Request::new(Method::POST, post.url);
        *request.headers_mut() = post.headers;
        *request.body_mut() = Some(post.body.into());
        let exchange = async {
            let mut response = self.http.send(request).await.map_err(|error| unanswered(&error))?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            // Of the others the status says all; an answer that stalls behind it must not make a message come twice.
            let body = if status == StatusCode::TOO_MANY_REQUESTS { beginning(response).await } else { Vec::new() };
            judge(status, after(&headers, &body, (self.now)()))
        };
        let late = |_| DeliveryError::passing(DeliveryCode::Unreachable, None);
        tokio::time::timeout(self.limits.total, exchange).await.map_err(late)?
    }
}

fn unanswered(error: &HttpError) -> DeliveryError {
    match error {
        HttpError::Url => DeliveryError::last(DeliveryCode::InvalidTarget),
        HttpError::Egress(EgressError::Blocked { .. }) => DeliveryError::last(DeliveryCode::BlockedEgress),
        HttpError::Egress(_) | HttpError::Tls(_) | HttpError::Connect(_) | HttpError::Broken(_) => {
            DeliveryError::passing(DeliveryCode::Unreachable, None)
        }
    }
}

/// What an answer begins with; one that breaks off is taken as far as it came.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - body.len())]);
        if body.len() == ANSWER_BYTES {
            break;
        }
    }
    body
}

fn judge(status: StatusCode, after: Option<Duration>) -> Result<(), DeliveryError> {
    match status.as_u16() {
        200..=299 => Ok(()),
        300..=399 => Err(DeliveryError::last(DeliveryCode::RedirectRefused)),
        429 => Err(DeliveryError::passing(DeliveryCode::RateLimited, after)),
        408 | 425 | 500..=599 => Err(DeliveryError::passing(DeliveryCode::ReceiverFailing, after)),
        _ => Err(DeliveryError::last(DeliveryCode::Refused)),
    }
}

/// `Retry-After` in seconds or as a date of HTTP, or Telegram's `parameters.retry_after`.
fn after(headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = header.and_then(|text| text.parse().ok().or_else(|| secs_until(text, now))).or_else(|| {
        let body: Value = serde_json::from_slice(body).ok()?;
        body.get("parameters")?.get("retry_after")?.as_f64()
    });
    Duration::try_from_secs_f64(asked?).ok().map(|after| after.min(AFTER_MAX))
}

/// Seconds from `now` until a date in one of the three forms of RFC 9110, 5.6.7; none of a past one.
fn secs_until(date: &str, now: DateTime<Utc>) -> Option<f64> {
    let until = DateTime::<Utc>::from(httpdate::parse_http_date(date).ok()?) - now;
    Some(until.max(TimeDelta::zero()).as_seconds_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_and_bounded() {
        let now = "2026-11-29T08:00:00Z".parse().expect("a time");
        let asked = |value: &'static str| {
            after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]), b"", now)
        };
        for (value, secs) in [
            ("30", 30),
            ("0", 0),
            ("999999999", AFTER_MAX.as_secs()),
            ("Sun, 29 Nov 2026 08:02:00 GMT", 120),
            ("Sunday, 29-Nov-26 08:02:00 GMT", 120),
            ("Sun Nov 29 08:02:00 2026", 120),
            ("Sun, 29 Nov 2026 07:00:00 GMT", 0),
            ("Tue, 29 Nov 2033 08:00:00 GMT", AFTER_MAX.as_secs()),
        ] {
            assert_eq!(asked(value), Some(Duration::from_secs(secs)), "{value}");
        }
        for odd in ["-1", "inf", "nan", "soon", "", "Sun, 31 Feb 2026 08:02:00 GMT", "2026-11-29T08:02:00Z"] {
            assert!(asked(odd).is_none_or(|d| d <= AFTER_MAX), "{odd}");
        }
        let telegram = br#"{"ok":false,"error_code":429,"parameters":{"retry_after":7}}"#;
        assert_eq!(after(&HeaderMap::new(), telegram, now), Some(Duration::from_secs(7)));
        assert_eq!(after(&HeaderMap::new(), b"[[[", now), None);
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let base = Url::parse("https://h.example/push/").expect("a URL");
        assert_eq!(below(&base, &["a/../b?c#d"]).expect("a URL").as_str(), "https://h.example/push/a%2F..%2Fb%3Fc%23d");
    }
}
