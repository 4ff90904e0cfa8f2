//! Whether a browser sent a request from a page of ours. A browser adds cookies to whatever any page asks of it, so a
//! write that counts because of a cookie needs proof that the page was ours.

use crate::links::Origin;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the headers say of the page that sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A page of ours.
    Ours,
    /// Another page.
    Foreign,
    /// Nothing: no browser, or one that says nothing.
    Unknown,
}

/// Who sent the request. `Sec-Fetch-Site` and `Origin` cannot be set by a page; where both are there, both must be ours.
#[must_use]
pub fn sender(headers: &HeaderMap, origin: &Origin) -> Sender {
    let site = one(headers, &SEC_FETCH_SITE).map(|site| site == "same-origin");
    let from = one(headers, &header::ORIGIN).map(|from| origin.is_ours(from, headers));
    match (site, from) {
        (Some(false), _) | (_, Some(false)) => Sender::Foreign,
        (None, None) => Sender::Unknown,
        _ => Sender::Ours,
    }
}

/// The header's one value; one that came twice, or is no text, equals nothing.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { Some("") } else { Some(HeaderValue::to_str(first).unwrap_or("")) }
}

/// Whether a request of this method may change something.
#[must_use]
pub fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the body is JSON, or there is none. Every other kind a page elsewhere could send without being asked first.
#[must_use]
pub fn is_json_or_nothing(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        let length = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
        return length && !headers.contains_key(header::TRANSFER_ENCODING);
    };
    let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_page_elsewhere_is_told_apart() {
        let named = Origin { public_url: Some("https://b.example/".into()), allowed_hosts: vec!["localhost".into()] };
        let unnamed = Origin { public_url: None, allowed_hosts: vec!["localhost".into()] };
        let seen = |origin, pairs: &[(&'static str, &'static str)]| sender(&headers(pairs), origin);
        assert_eq!(seen(&named, &[]), Sender::Unknown);
        assert_eq!(seen(&named, &[("origin", "https://b.example")]), Sender::Ours);
        assert_eq!(seen(&named, &[("sec-fetch-site", "same-origin")]), Sender::Ours);
        for foreign in ["https://evil.example", "http://b.example", "https://b.example:444", "null", ""] {
            let pairs = [("origin", foreign), ("sec-fetch-site", "same-origin")];
            assert_eq!(seen(&named, &pairs), Sender::Foreign, "{foreign}");
        }
        for foreign in ["cross-site", "same-site", "none", ""] {
            let pairs = [("origin", "https://b.example"), ("sec-fetch-site", foreign)];
            assert_eq!(seen(&named, &pairs), Sender::Foreign, "{foreign}");
        }
        let twice = [("origin", "https://b.example"), ("origin", "https://b.example")];
        assert_eq!(seen(&named, &twice), Sender::Foreign);
        let here = [("host", "localhost:8080"), ("origin", "http://localhost:8080")];
        assert_eq!(seen(&named, &here), Sender::Ours, "a listed host, reached directly");
        assert_eq!(seen(&unnamed, &here), Sender::Ours);
        let there = [("host", "evil.example"), ("origin", "http://evil.example")];
        assert_eq!(seen(&unnamed, &there), Sender::Foreign, "a name that was made to lead here");
    }

    #[test]
    fn only_json_or_nothing_is_a_body() {
        assert!(is_json_or_nothing(&headers(&[])));
        assert!(is_json_or_nothing(&headers(&[("content-length", "0")])));
        assert!(is_json_or_nothing(&headers(&[("content-type", "application/json; charset=utf-8")])));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x/json"]
        {
            assert!(!is_json_or_nothing(&headers(&[("content-type", kind)])), "{kind}");
        }
        assert!(!is_json_or_nothing(&headers(&[("content-length", "2")])));
        assert!(!is_json_or_nothing(&headers(&[("transfer-encoding", "chunked")])));
    }
}
