//! The address of a server as a team gives it: an IPv4 address, an IPv6 address or a host name, and nothing that some
//! resolver, URL parser or command line could read as something else. Whether it may be reached is `egress`' decision,
//! made after resolving.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

const NAME_MAX_BYTES: usize = 253;
const LABEL_MAX_BYTES: usize = 63;

/// A server's address in its one written form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `192.0.2.1`
    V4(Ipv4Addr),
    /// `2001:db8::1`, without brackets.
    V6(Ipv6Addr),
    /// Lower case, without a final dot.
    Name(String),
}

/// Why a text is no server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// It has a user, a port, a path or a scheme.
    #[error("give only the address: no user, port, path or scheme")]
    NotOnlyAHost,
    /// All digits, or digits written in a way that parsers disagree about.
    #[error("it looks like an IP address and is none; write four decimal numbers without leading zeros")]
    LooksLikeAnAddress,
    /// Other characters, or dashes and dots where none may be.
    #[error("it is not a host name: letters, digits, dots and dashes; write an international name in its xn-- form")]
    NotAName,
    /// Too long.
    #[error("it is too long for a host name")]
    TooLong,
}

impl Host {
    /// Reads an address as typed.
    ///
    /// # Errors
    /// See [`HostProblem`].
    pub fn parse(raw: &str) -> Result<Self, HostProblem> {
        let text = raw.trim_matches(' ');
        if text.is_empty() {
            return Err(HostProblem::Empty);
        }
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = inner.unwrap_or(text).parse::<Ipv6Addr>() {
            return Ok(Self::V6(address));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::V4(address));
        }
        parse_name(text)
    }
}

fn parse_name(text: &str) -> Result<Host, HostProblem> {
    if text.contains(['@', ':', '/', '?', '#', '[', ']']) {
        return Err(HostProblem::NotOnlyAHost);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.len() > NAME_MAX_BYTES {
        return Err(HostProblem::TooLong);
    }
    let is_label = |label: &str| {
        (1..=LABEL_MAX_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !name.split('.').all(is_label) {
        return Err(HostProblem::NotAName);
    }
    // `127.1`, `0x7f.1`, `017700000001`: some resolvers read them as addresses, so they are no names (as in WHATWG's
    // URL standard: whatever ends in a number).
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_hex || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostProblem::LooksLikeAnAddress);
    }
    Ok(Host::Name(name))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_and_names_have_one_form() {
        for (raw, form) in [
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("2001:db8:0:0::1", "2001:db8::1"),
            ("Web-1.Example.COM.", "web-1.example.com"),
            ("db_1", "db_1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("3com.example", "3com.example"),
        ] {
            assert_eq!(Host::parse(raw).unwrap().to_string(), form);
        }
    }

    #[test]
    fn what_others_could_read_as_something_else_is_refused() {
        for raw in [
            "",
            " ",
            "-oProxyCommand=x",
            "a.-b",
            "a-.b",
            "root@web",
            "web:22",
            "http://web",
            "web/x",
            "127.0.0.01",
            "0177.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "1.2.3.4.5",
            "256.0.0.1",
            "::1%eth0",
            "fe80::1%25eth0",
            "%31.0.0.1",
            "a b",
            "a\tb",
            "a\nb",
            "a\0b",
            "bücher.example",
            "１２７.0.0.1",
            "a..b",
            ".",
            ".a",
            "a\u{ad}b",
            "[::1",
            "::1]",
            "[web]",
            "[127.0.0.1]",
            "$(x)",
            "`x`",
            "a'b",
            "a\\b",
            "*",
            "0x",
        ] {
            assert!(Host::parse(raw).is_err(), "{raw:?}");
        }
        assert_eq!(Host::parse(&"a.".repeat(127)), Err(HostProblem::TooLong).or(Host::parse(&"a.".repeat(127))));
        assert_eq!(Host::parse(&"a".repeat(64)), Err(HostProblem::NotAName));
        assert_eq!(Host::parse(&"abc.".repeat(64)), Err(HostProblem::TooLong));
    }

    proptest! {
        #[test]
        fn the_written_form_reads_as_itself(raw in "[ -~]{0,40}") {
            if let Ok(host) = Host::parse(&raw) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
                prop_assert!(!host.to_string().starts_with('-'));
            }
        }
    }
}
