//! Where a bucket is, and how an object of it is named in a URL. Nothing that was typed becomes anything but a host, a
//! bucket's name or an encoded path.

use super::S3Settings;
use holdfast_domain::destination::DestinationKind;
use holdfast_domain::{Failure, FailureCode, Step};
use std::net::IpAddr;
use url::Url;

/// What most stores that do not care call their region.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket's address.
#[derive(Clone)]
pub(super) struct Address {
    /// Ends before the key: `https://bucket.host/` or `https://host/bucket/`.
    base: String,
    /// Part of every signature.
    pub(super) region: String,
    /// Nothing hides the bytes on their way.
    pub(super) is_plain: bool,
    /// For messages.
    pub(super) bucket: String,
    bucket_path: String,
}

impl Address {
    /// The address that `settings` describe.
    pub(super) fn of(settings: &S3Settings) -> Result<Self, Failure> {
        let endpoint = endpoint(settings)?;
        let host = endpoint.host_str().ok_or_else(|| invalid("The endpoint has no host."))?;
        let bucket = settings.config.bucket.clone().unwrap_or_default();
        if !is_bucket(&bucket) {
            return Err(invalid("The bucket's name is none."));
        }
        let region = settings.config.region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned());
        if !is_region(&region) {
            return Err(invalid("The region's name is none."));
        }
        let is_plain = endpoint.scheme() == "http";
        let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = endpoint.scheme();
        let in_path = settings.config.path_style || !fits_into_a_host(&bucket, host, is_plain);
        let (base, bucket_path) = if in_path {
            (format!("{scheme}://{host}{port}/{bucket}/"), format!("{scheme}://{host}{port}/{bucket}"))
        } else {
            let base = format!("{scheme}://{bucket}.{host}{port}/");
            (base.clone(), base)
        };
        Ok(Self { base, region, is_plain, bucket, bucket_path })
    }

    /// The URL of `key`, or of the bucket itself; the query is encoded here.
    pub(super) fn url(&self, key: Option<&str>, query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut text = match key {
            Some(key) => format!("{}{}", self.base, encoded(key, true)),
            None => self.bucket_path.clone(),
        };
        for (i, (name, value)) in query.iter().enumerate() {
            text.push(if i == 0 { '?' } else { '&' });
            text.push_str(name);
            if !value.is_empty() {
                text.push('=');
                text.push_str(&encoded(value, false));
            }
        }
        Url::parse(&text).map_err(|_| invalid("The bucket's address is no URL."))
    }
}

/// Whether `name` may be an object's: a plain relative path, as [`holdfast_domain::names`] makes them.
pub(super) fn is_object_name(name: &str) -> bool {
    name.len() <= 900
        && !name.chars().any(char::is_control)
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn endpoint(settings: &S3Settings) -> Result<Url, Failure> {
    let region = || settings.config.region.as_deref().filter(|region| is_region(region));
    let missing = || invalid("The destination has no region.");
    let text = match settings.kind {
        DestinationKind::S3 => {
            let region = region().ok_or_else(missing)?;
            let country = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{region}.amazonaws.com{country}")
        }
        DestinationKind::DigitalOceanSpaces => {
            format!("https://{}.digitaloceanspaces.com", region().ok_or_else(missing)?)
        }
        DestinationKind::CustomS3 | DestinationKind::Local => settings.config.endpoint.clone().unwrap_or_default(),
    };
    let url = Url::parse(&text).map_err(|_| invalid("The endpoint is no URL."))?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if is_bare { Ok(url) } else { Err(invalid("The endpoint must be https://host, with a port if needed.")) }
}

/// A bucket may become a part of the host where it is a label that TLS certificates of `*.host` cover.
fn fits_into_a_host(bucket: &str, host: &str, is_plain: bool) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_err()
        && bucket.len() <= 63
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
        && (is_plain || !bucket.contains('.'))
        && !bucket.ends_with(['-', '.'])
}

fn is_bucket(name: &str) -> bool {
    (2..=255).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
}

fn is_region(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Percent-encoded as the signature wants it: everything but the unreserved characters.
fn encoded(text: &str, keeps_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_kept = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (keeps_slashes && byte == b'/');
        if is_kept {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn invalid(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::destination::DestinationConfig;

    fn settings(kind: DestinationKind, bucket: &str, endpoint: &str, path_style: bool) -> S3Settings {
        let config = DestinationConfig {
            bucket: Some(bucket.to_owned()),
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(endpoint.to_owned()),
            path_style,
        };
        S3Settings { kind, config, access_key: "a".into(), secret_key: "b".into(), folder: String::new() }
    }

    fn url(settings: &S3Settings, key: &str) -> String {
        Address::of(settings).expect("an address").url(Some(key), &[]).expect("a URL").to_string()
    }

    #[test]
    fn every_kind_has_its_address() {
        use DestinationKind::{CustomS3, DigitalOceanSpaces, S3};
        let cases = [
            (S3, "bk", "", false, "https://bk.s3.eu-west-1.amazonaws.com/k/a%20b"),
            (S3, "bk", "", true, "https://s3.eu-west-1.amazonaws.com/bk/k/a%20b"),
            (S3, "b.k", "", false, "https://s3.eu-west-1.amazonaws.com/b.k/k/a%20b"),
            (DigitalOceanSpaces, "bk", "", false, "https://bk.eu-west-1.digitaloceanspaces.com/k/a%20b"),
            (CustomS3, "bk", "https://s3.example:9000", false, "https://bk.s3.example:9000/k/a%20b"),
            (CustomS3, "Big_One", "https://s3.example", false, "https://s3.example/Big_One/k/a%20b"),
            (CustomS3, "bk", "http://127.0.0.1:3900", false, "http://127.0.0.1:3900/bk/k/a%20b"),
            (CustomS3, "bk", "http://[::1]:3900", false, "http://[::1]:3900/bk/k/a%20b"),
        ];
        for (kind, bucket, endpoint, path_style, expected) in cases {
            assert_eq!(url(&settings(kind, bucket, endpoint, path_style), "k/a b"), expected);
        }
    }

    #[test]
    fn nothing_typed_changes_where_a_request_goes() {
        let kind = DestinationKind::CustomS3;
        for (bucket, endpoint) in [
            ("b/../x", "https://h"),
            ("b@evil", "https://h"),
            ("b?x", "https://h"),
            ("", "https://h"),
            ("bk", "https://user@h"),
            ("bk", "https://h/path"),
            ("bk", "ftp://h"),
            ("bk", "https://h?x=y"),
            ("bk", ""),
        ] {
            assert!(Address::of(&settings(kind, bucket, endpoint, true)).is_err(), "{bucket} {endpoint}");
        }
        let mut odd = settings(DestinationKind::S3, "bk", "", true);
        odd.config.region = Some("x.evil.example/".to_owned());
        assert!(Address::of(&odd).is_err());
        let key = "a?b#c%2e/../../é";
        let text = url(&settings(kind, "bk", "https://h", true), "a?b#c%2e/é");
        assert_eq!(text, "https://h/bk/a%3Fb%23c%252e/%C3%A9");
        assert!(!is_object_name(key) && is_object_name("a/b.c") && !is_object_name("/a") && !is_object_name("a//b"));
        let address = Address::of(&settings(kind, "bk", "https://h", true)).expect("an address");
        assert_eq!(
            address.url(None, &[("uploads", ""), ("prefix", "a/b&c")]).expect("a URL").as_str(),
            "https://h/bk?uploads&prefix=a%2Fb%26c"
        );
    }
}
