//! Which bytes a client asked for (RFC 9110, 14). One range or the whole; what is not understood is ignored, as the
//! standard wants, and never guessed.

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use std::ops::Range;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    Whole,
    /// These bytes (never empty).
    Part(Range<u64>),
    /// Nothing: the range lies beyond the end.
    Unsatisfiable,
    /// Nothing: the client has it already.
    NotModified,
}

/// Reads the client's headers for an object of `size` bytes with the strong tag `etag` (quotes included).
pub fn select(headers: &HeaderMap, size: u64, etag: &str) -> Selection {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim() == etag)) {
        return Selection::NotModified;
    }
    if text(IF_RANGE).is_some_and(|tag| tag != etag) {
        return Selection::Whole;
    }
    text(RANGE).and_then(|range| parse(range, size)).unwrap_or(Selection::Whole)
}

fn parse(range: &str, size: u64) -> Option<Selection> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let part = match (first, last) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if part.is_empty() { Selection::Unsatisfiable } else { Selection::Part(part) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";

    fn selected(pairs: &[(axum::http::HeaderName, &str)]) -> Selection {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        select(&headers, 100, ETAG)
    }

    #[test]
    fn the_three_forms_of_one_range() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=10-19", 10..20),
            ("bytes=90-", 90..100),
            ("bytes=-5", 95..100),
            ("bytes=-500", 0..100),
            ("bytes=50-5000", 50..100),
        ] {
            assert_eq!(selected(&[(RANGE, range)]), Selection::Part(part), "{range}");
        }
    }

    #[test]
    fn what_is_not_understood_is_the_whole() {
        for range in ["bytes=1-2,4-5", "bytes=a-b", "items=0-1", "bytes=5-1", "bytes=-", "bytes=+1-2", ""] {
            assert_eq!(selected(&[(RANGE, range)]), Selection::Whole, "{range}");
        }
    }

    #[test]
    fn beyond_the_end_is_refused() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(selected(&[(RANGE, range)]), Selection::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn a_part_of_another_object_is_never_sent_as_a_continuation() {
        assert_eq!(selected(&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"old\"")]), Selection::Whole);
        assert_eq!(selected(&[(RANGE, "bytes=1-2"), (IF_RANGE, ETAG)]), Selection::Part(1..3));
        assert_eq!(selected(&[(IF_NONE_MATCH, "\"x\", \"abc\"")]), Selection::NotModified);
    }
}
