//! What people may type into a script's fields.

use super::{BODY_MAX_BYTES, VALUE_MAX_BYTES};
use crate::text::is_bidi_control;

/// Names that mean something to shells, loaders and interpreters: a parameter so called would change how the script itself
/// is run.
const RESERVED: &[&str] = &[
    "PATH",
    "IFS",
    "ENV",
    "HOME",
    "SHELL",
    "USER",
    "LOGNAME",
    "PWD",
    "OLDPWD",
    "PPID",
    "UID",
    "EUID",
    "GID",
    "OPTIND",
    "OPTARG",
    "OPTERR",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "LANG",
    "LANGUAGE",
    "TERM",
    "MAIL",
    "CDPATH",
    "POSIXLY_CORRECT",
    "SHELLOPTS",
    "GLOBIGNORE",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "REPLY",
    "PROMPT_COMMAND",
    "TMPDIR",
    "TZ",
];

/// Beginnings of such names.
const RESERVED_STARTS: &[&str] = &["HOLDFAST", "LD_", "LC_", "BASH", "PYTHON", "GCONV_", "MALLOC_", "DYLD_"];

/// The name of a parameter.
///
/// # Errors
/// Why it is none.
pub fn parameter_name(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    let is_word = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if !((1..=64).contains(&name.len()) && is_word && name.starts_with(|c: char| c.is_ascii_uppercase())) {
        return Err("it may have capital letters, digits and underscores, at most 64, and must begin with a letter");
    }
    if RESERVED.contains(&name) || RESERVED_STARTS.iter().any(|start| name.starts_with(start)) {
        return Err("this name means something to shells or to Holdfast itself; choose another one");
    }
    Ok(name.to_owned())
}

/// The name of a secret.
///
/// # Errors
/// Why it is none.
pub fn secret_name(raw: &str) -> Result<String, &'static str> {
    let name = raw.trim();
    let is_word = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    let fits = (1..=64).contains(&name.len()) && is_word && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits.then(|| name.to_owned()).ok_or(
        "it may have small letters, digits, dashes and underscores, at most 64, and must begin with a letter or digit",
    )
}

/// The text of a script, with the line ends that shells know.
///
/// # Errors
/// Why it is none.
pub fn body(raw: &str) -> Result<String, &'static str> {
    let text = raw.replace("\r\n", "\n");
    if text.len() > BODY_MAX_BYTES {
        return Err("it may have at most 65536 bytes");
    }
    if text.trim().is_empty() {
        return Err("it is empty");
    }
    if text.contains('\0') {
        return Err("it has a NUL character");
    }
    if text.chars().any(is_bidi_control) {
        return Err("it has a character that changes the direction of what is shown");
    }
    Ok(text)
}

/// The value of a parameter or of a secret, byte for byte.
///
/// # Errors
/// Why it is none.
pub fn value(raw: &str) -> Result<String, &'static str> {
    if raw.len() > VALUE_MAX_BYTES {
        return Err("it may have at most 4096 bytes");
    }
    if raw.contains('\0') {
        return Err("it has a NUL character");
    }
    Ok(raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_cannot_change_how_the_script_is_run() {
        for good in ["A", "DB_PASSWORD", "X1"] {
            assert_eq!(parameter_name(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "a",
            "1A",
            "_A",
            "A-B",
            "A B",
            "A=B",
            "A;id",
            "Ä",
            "PATH",
            "LD_PRELOAD",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PYTHONSTARTUP",
            "HOLDFAST_RUN_ID",
            "A\nB",
            &"A".repeat(65),
        ] {
            assert!(parameter_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secrets_name_is_a_word() {
        assert_eq!(secret_name(" db-password_2 ").as_deref(), Ok("db-password_2"));
        for bad in ["", "-a", "A", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(secret_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_keeps_its_bytes_but_for_line_ends() {
        assert_eq!(body("echo \"a\tb\"\r\necho $((1 + 1))\n").as_deref(), Ok("echo \"a\tb\"\necho $((1 + 1))\n"));
        for bad in ["", " \n\t", "a\0b", "echo \u{202e}x", &"x".repeat(BODY_MAX_BYTES + 1)] {
            assert!(body(bad).is_err());
        }
    }
}
