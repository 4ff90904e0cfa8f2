//! The name of a log-in on a server. It goes into the SSH protocol as data; the rule keeps it harmless for every other
//! place it could reach (an argument, a log, a `user@host` text).

use crate::text::is_invisible;
use unicode_normalization::UnicodeNormalization;

const MAX_BYTES: usize = 128;

/// The text is no log-in name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a user name: letters, digits and . _ - + @ $ ~ \\, not starting with a dash, at most 128 bytes")]
pub struct UsernameProblem;

/// The canonical form of a log-in name: `root`, `www-data`, `DOMAIN\jürgen`, `me@example.com`.
///
/// # Errors
/// See [`UsernameProblem`].
pub fn parse(raw: &str) -> Result<String, UsernameProblem> {
    if raw.len() > MAX_BYTES * 3 {
        return Err(UsernameProblem);
    }
    let name: String = raw.trim_matches(' ').nfc().collect();
    let is_allowed = |c: char| {
        (c.is_alphanumeric() && !is_invisible(c)) || matches!(c, '.' | '_' | '-' | '+' | '@' | '$' | '~' | '\\')
    };
    let fits = (1..=MAX_BYTES).contains(&name.len()) && !name.starts_with('-') && name.chars().all(is_allowed);
    if fits { Ok(name) } else { Err(UsernameProblem) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_are_taken_and_tricks_are_not() {
        for name in ["root", "www-data", "svc_backup", "DOMAIN\\jürgen", "me@example.com", "host$", "用户"] {
            assert_eq!(parse(name).as_deref(), Ok(name));
        }
        let long = "x".repeat(129);
        for name in
            ["", " ", "-l", "a b", "a\nb", "a\0b", "$(x)", "a;b", "a:b", "a/b", "a'b", "`x`", "\u{202e}a", &long]
        {
            assert_eq!(parse(name), Err(UsernameProblem), "{name:?}");
        }
    }
}
