//! What a store's refusal means. Of the peer's own words only its error code and a region's name are repeated, and only
//! when they look like such; no text of its choice reaches a user.

use super::xml::Leaves;
use chrono::{DateTime, Utc};
use holdfast_domain::{Failure, FailureCode, Step};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// A request that brought no usable answer.
#[derive(Debug)]
pub(super) struct Refused {
    /// As a user reads it.
    pub(super) failure: Failure,
    /// S3's name for it, where one was given.
    pub(super) code: Option<String>,
    /// Whether the same request may be sent again.
    pub(super) may_repeat: bool,
    /// When, if the store said so.
    pub(super) after: Option<Duration>,
}

impl Refused {
    /// Something between us and the store.
    pub(super) fn broken(step: Step, detail: impl AsRef<str>) -> Self {
        let failure = Failure::new(step, FailureCode::DestinationFailed, detail);
        Self { failure, code: None, may_repeat: true, after: None }
    }

    /// Nothing that another try could better.
    pub(super) fn final_one(failure: Failure) -> Self {
        Self { failure, code: None, may_repeat: false, after: None }
    }

    /// Whether S3 calls it one of `codes`.
    pub(super) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        refused.failure
    }
}

/// What was asked for, and where.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) step: Step,
    /// The right that it needs, `s3:PutObject`.
    pub(super) right: &'static str,
    pub(super) bucket: &'a str,
    pub(super) now: DateTime<Utc>,
}

/// What `status`, `headers` and `body` mean for the request.
pub(super) fn judge(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refused {
    let leaves = Leaves::read(body).ok();
    let said = |path: &str| leaves.as_ref().and_then(|leaves| leaves.first(path)).and_then(name_like);
    let code = said("Error/Code");
    let region = headers.get("x-amz-bucket-region").and_then(|v| v.to_str().ok()).and_then(name_like);
    let region = region.or_else(|| said("Error/Region"));
    let message = leaves.as_ref().and_then(|leaves| leaves.first("Error/Message")).unwrap_or_default();
    let is_quota = status == StatusCode::FORBIDDEN && message.to_ascii_lowercase().contains("quota");
    let kind = if is_quota { FailureCode::DestinationFull } else { meaning(status, code.as_deref()) };
    let mut detail = format!(
        "The store answered {}{} to {}.",
        status.as_u16(),
        code.as_deref().map(|code| format!(" {code}")).unwrap_or_default(),
        asked.right
    );
    detail.push_str(&hint(asked, kind, code.as_deref(), region.as_deref()));
    if status.is_redirection() {
        detail.push_str(" Redirects are not followed: the endpoint or the region is another one.");
    }
    if code.as_deref() == Some("RequestTimeTooSkewed") {
        detail.push_str(&skew(asked.now, headers));
    }
    let after = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    Refused {
        failure: Failure::new(asked.step, kind, detail),
        may_repeat: may_repeat(status, code.as_deref()),
        code,
        after: after.map(Duration::from_secs),
    }
}

fn meaning(status: StatusCode, code: Option<&str>) -> FailureCode {
    match (status.as_u16(), code.unwrap_or_default()) {
        (507, _) | (_, "QuotaExceeded" | "InsufficientStorage" | "StorageFull" | "XMinioStorageFull") => {
            FailureCode::DestinationFull
        }
        (_, "NoSuchBucket") => FailureCode::DestinationMissing,
        (404, "NoSuchKey" | "") | (412 | 416, _) => FailureCode::CopyDamaged,
        (401 | 403, _)
        | (300..=399, _)
        | (
            _,
            "AccessDenied"
            | "AuthorizationHeaderMalformed"
            | "ExpiredToken"
            | "InvalidAccessKeyId"
            | "InvalidToken"
            | "PermanentRedirect"
            | "RequestTimeTooSkewed"
            | "SignatureDoesNotMatch"
            | "TemporaryRedirect",
        ) => FailureCode::DestinationRefused,
        _ => FailureCode::DestinationFailed,
    }
}

/// What this refusal usually means, beside the general advice.
fn hint(asked: &Asked<'_>, kind: FailureCode, code: Option<&str>, region: Option<&str>) -> String {
    match (kind, code.unwrap_or_default(), region) {
        (FailureCode::DestinationRefused, _, Some(region)) => format!(" It says that the region is {region:?}."),
        (FailureCode::DestinationRefused, "SignatureDoesNotMatch", _) => {
            " The secret key, or the region, is another one.".to_owned()
        }
        (FailureCode::DestinationRefused, "InvalidAccessKeyId", _) => " It does not know the access key.".to_owned(),
        (FailureCode::DestinationRefused, "ExpiredToken" | "InvalidToken", _) => " The keys have expired.".to_owned(),
        (FailureCode::DestinationRefused, "AccessDenied", _) => " The keys lack that right.".to_owned(),
        (FailureCode::DestinationMissing, ..) => format!(" The bucket {:?} is not there.", asked.bucket),
        (FailureCode::CopyDamaged, ..) => " The object is not there, or is another one than was stored.".to_owned(),
        _ => String::new(),
    }
}

fn may_repeat(status: StatusCode, code: Option<&str>) -> bool {
    if matches!(code, Some("QuotaExceeded" | "StorageFull" | "XMinioStorageFull" | "InsufficientStorage")) {
        return false;
    }
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
        || matches!(
            code,
            Some("BadDigest" | "IncompleteBody" | "InternalError" | "RequestTimeout" | "ServiceUnavailable")
                | Some("SlowDown" | "XAmzContentSHA256Mismatch")
        )
}

/// How far our clock is from the store's.
fn skew(now: DateTime<Utc>, headers: &HeaderMap) -> String {
    let theirs = headers.get(reqwest::header::DATE).and_then(|v| v.to_str().ok());
    let theirs = theirs.and_then(|v| DateTime::parse_from_rfc2822(v).ok());
    match theirs {
        Some(theirs) => {
            let seconds = (now - theirs.with_timezone(&Utc)).num_seconds();
            let direction = if seconds >= 0 { "ahead of" } else { "behind" };
            format!(" The worker's clock is {} s {direction} the store's.", seconds.unsigned_abs())
        }
        None => " The worker's clock differs from the store's.".to_owned(),
    }
}

/// `text`, if it looks like an error code or a region.
fn name_like(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str, headers: &[(&'static str, &str)]) -> Refused {
        let now = DateTime::from_timestamp(1_700_000_600, 0).expect("a time");
        let asked = Asked { step: Step::Stream, right: "s3:PutObject", bucket: "bk", now };
        let headers =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        judge(&asked, StatusCode::from_u16(status).expect("a status"), &headers.collect(), body.as_bytes())
    }

    fn error(code: &str) -> String {
        format!("<Error><Code>{code}</Code><Message>m\u{1b}</Message></Error>")
    }

    #[test]
    fn each_refusal_has_its_code_and_says_what_is_wrong() {
        use FailureCode::{CopyDamaged, DestinationFailed, DestinationFull, DestinationMissing, DestinationRefused};
        let cases = [
            (403, "AccessDenied", DestinationRefused, false, "s3:PutObject"),
            (403, "SignatureDoesNotMatch", DestinationRefused, false, "secret key"),
            (403, "InvalidAccessKeyId", DestinationRefused, false, "access key"),
            (400, "ExpiredToken", DestinationRefused, false, "expired"),
            (404, "NoSuchBucket", DestinationMissing, false, "\"bk\""),
            (404, "NoSuchKey", CopyDamaged, false, "not there"),
            (503, "SlowDown", DestinationFailed, true, "503 SlowDown"),
            (500, "InternalError", DestinationFailed, true, "500"),
            (200, "InternalError", DestinationFailed, true, "InternalError"),
            (400, "BadDigest", DestinationFailed, true, "BadDigest"),
            (507, "", DestinationFull, false, "507"),
            (403, "QuotaExceeded", DestinationFull, false, "QuotaExceeded"),
            (503, "XMinioStorageFull", DestinationFull, false, "XMinioStorageFull"),
            (301, "PermanentRedirect", DestinationRefused, false, "not followed"),
            (400, "InvalidArgument", DestinationFailed, false, "InvalidArgument"),
            (501, "NotImplemented", DestinationFailed, false, "NotImplemented"),
        ];
        for (status, code, expected, repeats, words) in cases {
            let refused = judged(status, &error(code), &[]);
            assert_eq!(refused.failure.code, expected, "{status} {code}");
            assert_eq!(refused.may_repeat, repeats, "{status} {code}");
            assert!(refused.failure.detail.contains(words), "{}", refused.failure.detail);
            assert!(!refused.failure.detail.contains('\u{1b}'));
        }
    }

    #[test]
    fn region_skew_and_pause_are_read() {
        let refused =
            judged(400, &error("AuthorizationHeaderMalformed").replace("</Code>", "</Code><Region>eu-1</Region>"), &[]);
        assert!(refused.failure.detail.contains("\"eu-1\""), "{}", refused.failure.detail);
        let refused = judged(301, "", &[("x-amz-bucket-region", "ap-2")]);
        assert!(refused.failure.detail.contains("\"ap-2\""), "{}", refused.failure.detail);
        let late = [("date", "Tue, 14 Nov 2023 22:13:20 GMT")];
        let refused = judged(403, &error("RequestTimeTooSkewed"), &late);
        assert!(refused.failure.detail.contains("600 s ahead of"), "{}", refused.failure.detail);
        assert_eq!(judged(503, "", &[("retry-after", "7")]).after, Some(Duration::from_secs(7)));
        assert_eq!(
            judged(403, "<Error><Message>Bucket quota is reached</Message></Error>", &[]).failure.code,
            FailureCode::DestinationFull
        );
    }

    #[test]
    fn the_peers_own_words_are_not_repeated() {
        let refused = judged(403, &error("x <b>evil</b> y"), &[("x-amz-bucket-region", "a b")]);
        assert!(!refused.failure.detail.contains("evil") && !refused.failure.detail.contains("a b"));
        assert_eq!(refused.code, None);
    }
}
