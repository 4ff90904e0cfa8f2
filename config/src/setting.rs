//! How a value of each type is written, in TOML and as the text of an environment variable.

use crate::layers::Raw;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;
use url::Url;

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// What is allowed, for the error and the reference.
    fn allowed() -> String;
    fn from_text(text: &str) -> Option<Self>;
    fn from_toml(value: &Value) -> Option<Self>;

    fn from_raw(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Toml(value) => Self::from_toml(value),
            Raw::Text(text) => Self::from_text(text.trim()),
        }
    }
}

/// Types that are a string in TOML too.
macro_rules! text_settings {
    ($($kind:ty: $allowed:literal, $parse:expr;)+) => {$(
        impl Setting for $kind {
            fn allowed() -> String {
                $allowed.to_owned()
            }
            fn from_text(text: &str) -> Option<Self> {
                let parse: fn(&str) -> Option<$kind> = $parse;
                parse(text)
            }
            fn from_toml(value: &Value) -> Option<Self> {
                value.as_str().and_then(|text| Self::from_text(text.trim()))
            }
        }
    )+};
}

text_settings! {
    String: "text that is not empty", |text| (!text.is_empty()).then(|| text.to_owned());
    PathBuf: "an absolute path", |text| {
        (text.starts_with('/') && !text.contains('\0')).then(|| PathBuf::from(text))
    };
    SocketAddr: "address:port, as 127.0.0.1:8080 or [::1]:8080", |text| text.parse().ok();
    IpNet: "address/prefix length, as 10.0.0.0/8; host bits are zero", |text| {
        let net: IpNet = text.parse().ok()?;
        (net == net.trunc()).then_some(net)
    };
    Url: "http:// or https:// with a host and an optional port, and nothing after it", |text| {
        let url: Url = text.parse().ok()?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.path() == "/"
            && url.query().is_none() && url.fragment().is_none();
        (matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain).then_some(url)
    };
}

impl Setting for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

/// Whole numbers.
macro_rules! number_settings {
    ($($kind:ty),+) => {$(
        impl Setting for $kind {
            fn allowed() -> String {
                "a whole number".to_owned()
            }
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
            fn from_toml(value: &Value) -> Option<Self> {
                value.as_integer().and_then(|number| number.try_into().ok())
            }
        }
    )+};
}

number_settings!(u32, u64);

/// Seconds, with decimals so that tests can run the same protocol faster.
impl Setting for Duration {
    fn allowed() -> String {
        "a number of seconds, decimals allowed".to_owned()
    }
    fn from_text(text: &str) -> Option<Self> {
        // `inf`, `nan` and `1e9` parse as floats and are no durations anybody means.
        let is_decimal = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_decimal.then(|| text.parse().ok()).flatten().and_then(|secs| Duration::try_from_secs_f64(secs).ok())
    }
    fn from_toml(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(secs) => u64::try_from(*secs).ok().map(Duration::from_secs),
            Value::Float(secs) => Duration::try_from_secs_f64(*secs).ok(),
            _ => None,
        }
    }
}

/// A list; as text, separated by commas (the empty text is the empty list).
impl<T: Setting> Setting for Vec<T> {
    fn allowed() -> String {
        format!("a list, each: {}; in the environment separated by commas", T::allowed())
    }
    fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(',').map(|part| T::from_text(part.trim())).collect()
    }
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::from_toml).collect()
    }
}

/// An enum whose values have names.
macro_rules! named_setting {
    ($kind:ty { $($text:literal => $value:expr),+ $(,)? }) => {
        impl $crate::setting::Setting for $kind {
            fn allowed() -> String {
                [$(concat!("\"", $text, "\"")),+].join(" or ")
            }
            fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some($value),)+
                    _ => None,
                }
            }
            fn from_toml(value: &toml::Value) -> Option<Self> {
                value.as_str().and_then(<Self as $crate::setting::Setting>::from_text)
            }
        }
    };
}
pub(crate) use named_setting;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_no_values() {
        for text in ["", "10.0.0.1/8", "10.0.0.0", "::/129", "0.0.0.0/0/0"] {
            assert!(IpNet::from_text(text).is_none(), "{text:?}");
        }
        for text in ["inf", "nan", "-1", "1e9", "", ".", "1s"] {
            assert!(Duration::from_text(text).is_none(), "{text:?}");
        }
        for text in ["ftp://a", "http://", "https://a/b", "https://u:p@a", "https://a?x", "a.example"] {
            assert!(Url::from_text(text).is_none(), "{text:?}");
        }
        assert!(PathBuf::from_text("relative").is_none());
        assert!(bool::from_text("yes").is_none() && bool::from_toml(&Value::Integer(1)).is_none());
        assert!(u32::from_toml(&Value::Integer(-1)).is_none() && u32::from_text("4294967296").is_none());
        assert_eq!(Vec::<u32>::from_text("1, 2,3"), Some(vec![1, 2, 3]));
        assert!(Vec::<u32>::from_text("1,,3").is_none());
    }
}
