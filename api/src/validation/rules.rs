//! Rules that are neither a bound (those stand on the structs) nor the domain's: in the form that
//! [`super::Fields::parsed`] wants, a canonical text or the reason why there is none.

use holdfast_domain::host::Host;
use holdfast_domain::{names, schedule, username};

/// An IP address or host name in its one written form.
pub fn host(raw: &str) -> Result<String, String> {
    Host::parse(raw).map(|host| host.to_string()).map_err(|problem| problem.to_string())
}

/// A log-in name.
pub fn login(raw: &str) -> Result<String, String> {
    username::parse(raw).map_err(|problem| problem.to_string())
}

/// An IANA zone.
pub fn timezone(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    schedule::parse_zone(name).map(|zone| zone.name().to_owned()).ok_or("it must be a name as Europe/Berlin")
}

/// A decoration of object names.
pub fn appended_filename(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    names::is_appended_filename(name).then(|| name.to_owned()).ok_or(
        "it may have letters, digits, dots, underscores and dashes, at most 64, and must not start with a dot or dash",
    )
}

/// A task's name for scripts.
pub fn alias(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    let is_word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let fits = (1..=64).contains(&name.len()) && is_word && !name.starts_with('-') && !name.ends_with('-');
    fits.then(|| name.to_owned())
        .ok_or("it may have small letters, digits and dashes, at most 64, with no dash at either end")
}

/// A folder at a destination.
pub fn store_path(raw: &str) -> Result<String, &'static str> {
    let path = raw.trim();
    names::is_store_path(path).then(|| path.to_owned()).ok_or(
        "it must be a folder of letters, digits, dots, underscores, dashes and spaces, without . or .. or a leading \
         dash, at most 255 characters",
    )
}

/// A host key: `ssh-ed25519 AAAA…`, without its comment.
pub fn host_key(raw: &str) -> Result<String, &'static str> {
    crate::host_keys::parse(raw)
        .map(|key| key.line)
        .ok_or("it must be a public host key in OpenSSH form, as ssh-ed25519 AAAA…")
}

/// An age recipient: `age1…`.
pub fn age_recipient(raw: &str) -> Result<String, &'static str> {
    let text = raw.trim();
    let decoded = bech32::decode(text).ok().filter(|(prefix, _, variant)| {
        prefix == "age" && *variant == bech32::Variant::Bech32 && !text.bytes().any(|b| b.is_ascii_uppercase())
    });
    let key: Option<Vec<u8>> = decoded.and_then(|(_, data, _)| bech32::FromBase32::from_base32(&data).ok());
    key.filter(|key| key.len() == 32)
        .map(|_| text.to_owned())
        .ok_or("it must be an age public key, as age1…; keys of other kinds are not supported")
}

/// A database's name: one identifier, never a connection string or an option.
pub fn database_name(raw: &str) -> Result<String, &'static str> {
    identifier(raw, 64)
}

/// A table: `table`, `database.table` or `database.schema.table`.
pub fn table_name(raw: &str) -> Result<String, &'static str> {
    identifier(raw, 200)
}

fn identifier(raw: &str, max_chars: usize) -> Result<String, &'static str> {
    let name = raw.trim();
    let is_bad = |c: char| c.is_control() || matches!(c, '=' | '/' | '\\' | ':' | ';' | '\'' | '"' | '`' | ',');
    let fits =
        !name.is_empty() && name.chars().count() <= max_chars && !name.starts_with('-') && !name.contains(is_bad);
    fits.then(|| name.to_owned())
        .ok_or("it must be a plain name: no leading dash and none of = / \\ : ; ' \" ` and comma, of a bounded length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_recipients_are_checked_to_their_last_character() {
        let good = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        assert_eq!(age_recipient(good).as_deref(), Ok(good));
        for bad in
            [&good[..61], &good.replace('q', "z"), &good.to_uppercase(), "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1"]
        {
            assert!(age_recipient(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_alias_is_a_word_in_small_letters() {
        assert_eq!(alias(" web-01 ").as_deref(), Ok("web-01"));
        for bad in ["", "-", "-a", "a-", "A", "a_b", "a b", "é", "a/b", &"a".repeat(65)] {
            assert!(alias(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_name_is_no_connection_string() {
        for bad in ["host=127.0.0.1 port=5999 user=x", "postgresql://h/x", "service=x", "--result-file=F", "a\nb", ""] {
            assert!(database_name(bad).is_err(), "{bad}");
        }
        assert_eq!(database_name(" production_db ").as_deref(), Ok("production_db"));
    }
}
