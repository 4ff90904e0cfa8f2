//! Token buckets, one a key. A full bucket is forgotten, so that the table does not grow with the number of users.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

const MS_PER_MINUTE: i64 = 60_000;
/// Above this many keys, full buckets are dropped.
const SWEEP_AT: usize = 10_000;

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What is left after a request that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    limit: u32,
    remaining: u32,
}

impl Allowance {
    /// The headers of a success.
    #[must_use]
    pub fn headers(self) -> HeaderMap {
        HeaderMap::from_iter([
            (LIMIT.clone(), HeaderValue::from(self.limit)),
            (REMAINING.clone(), HeaderValue::from(self.remaining)),
        ])
    }
}

/// A request that came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    limit: u32,
    retry_after_secs: i64,
    reset_at: i64,
}

impl Refused {
    /// A refusal that the database decided: until the minute is over.
    #[must_use]
    pub fn for_a_minute(limit: u32, now: DateTime<Utc>) -> Self {
        Self { limit, retry_after_secs: 60, reset_at: now.timestamp() + 60 }
    }

    /// The headers of a 429.
    #[must_use]
    pub fn headers(self) -> HeaderMap {
        HeaderMap::from_iter([
            (header::RETRY_AFTER, HeaderValue::from(self.retry_after_secs)),
            (LIMIT.clone(), HeaderValue::from(self.limit)),
            (REMAINING.clone(), HeaderValue::from(0)),
            (RESET.clone(), HeaderValue::from(self.reset_at)),
        ])
    }
}

struct Bucket {
    /// Requests left, in thousandths of one times [`MS_PER_MINUTE`]: whole numbers do not drift.
    left: i64,
    at_ms: i64,
}

/// Buckets that refill evenly within a minute.
pub struct Throttle<K> {
    per_minute: u32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Throttle<K> {
    /// `per_minute` requests a key at once, and as many each minute; 0 = no limit.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one request of `key`'s; none when there is no limit.
    ///
    /// # Errors
    /// The bucket is empty.
    pub fn take(&self, key: K, now: DateTime<Utc>) -> Result<Option<Allowance>, Refused> {
        if self.per_minute == 0 {
            return Ok(None);
        }
        let full = i64::from(self.per_minute) * MS_PER_MINUTE;
        let now_ms = now.timestamp_millis();
        let refilled = |bucket: &Bucket| {
            let gained = (now_ms - bucket.at_ms).clamp(0, MS_PER_MINUTE) * i64::from(self.per_minute);
            (bucket.left + gained).min(full)
        };
        // A poisoned table holds numbers only; any of them is acceptable.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > SWEEP_AT {
            buckets.retain(|_, bucket| refilled(bucket) < full);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { left: full, at_ms: now_ms });
        bucket.left = refilled(bucket);
        bucket.at_ms = now_ms;
        if bucket.left < MS_PER_MINUTE {
            let wait_ms = (MS_PER_MINUTE - bucket.left).div_euclid(i64::from(self.per_minute)) + 1;
            let retry_after_secs = (wait_ms + 999) / 1000;
            return Err(Refused {
                limit: self.per_minute,
                retry_after_secs,
                reset_at: now.timestamp() + retry_after_secs,
            });
        }
        bucket.left -= MS_PER_MINUTE;
        let remaining = u32::try_from(bucket.left / MS_PER_MINUTE).unwrap_or(0);
        Ok(Some(Allowance { limit: self.per_minute, remaining }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_bucket_empties_and_refills_and_is_nobody_elses() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let throttle = Throttle::new(5);
        for left in (0..5).rev() {
            assert_eq!(throttle.take(1, start).unwrap().unwrap().remaining, left);
        }
        let refused = throttle.take(1, start).unwrap_err();
        assert_eq!(refused.retry_after_secs, 13, "one request comes back every 12 s, rounded up");
        assert!(throttle.take(2, start).is_ok());
        assert!(throttle.take(1, start + TimeDelta::seconds(11)).is_err());
        assert!(throttle.take(1, start + TimeDelta::seconds(refused.retry_after_secs)).is_ok());
    }

    #[test]
    fn zero_is_no_limit() {
        let throttle = Throttle::new(0);
        for _ in 0..1000 {
            assert_eq!(throttle.take((), DateTime::UNIX_EPOCH), Ok(None));
        }
    }
}
