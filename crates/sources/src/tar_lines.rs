//! What GNU tar says on standard error, line by line: nothing it says may be taken for "all is well" unless we know the
//! sentence. Measured with tar 1.34 and read in its `create.c`, `extract.c`, `misc.c` and `xattrs.c`; with
//! `LC_ALL=C` and `--quoting-style=escape`, so a `:` inside a name is `\:`.

use crate::reading::Judged;
use holdfast_domain::failure::printable;
use holdfast_domain::warning::{Warning, WarningCode};

/// Longest path shown in a warning.
const PATH_CHARS: usize = 1024;

/// Judges a line of a tar that writes an archive.
pub(crate) fn while_creating(line: &[u8]) -> Judged {
    let Some(message) = message(line) else { return Judged::Unknown };
    if message.starts_with("Removing leading `") || message == "Exiting with failure status due to previous errors" {
        return Judged::Noise;
    }
    // Built without them: nothing of the kind was stored, for any file.
    if message.ends_with("support is not available") {
        return warning(WarningCode::NotStored, None, message);
    }
    let Some((path, said)) = split(message) else { return Judged::Unknown };
    let code = match said {
        "file changed as we read it" => WarningCode::Changed,
        "File removed before we read it" => WarningCode::Vanished,
        "socket ignored" | "door ignored" | "Unknown file type; file ignored" | "file is the archive; not dumped" => {
            WarningCode::NotStored
        }
        "file is on a different filesystem; not dumped" | "directory is on a different filesystem; not dumped" => {
            return Judged::Noise;
        }
        _ if said.starts_with("File shrank by ") => WarningCode::Shrunk,
        _ => match said.strip_prefix("Warning: ") {
            Some(rest) if is_attribute(rest) => WarningCode::NotStored,
            Some(rest) if rest.ends_with(": No such file or directory") => WarningCode::Vanished,
            Some(rest) if rest.starts_with("Cannot ") || rest.starts_with("Read error at ") => WarningCode::Unreadable,
            _ => return Judged::Unknown,
        },
    };
    warning(code, Some(path), said)
}

/// Judges a line of a tar that unpacks an archive.
pub(crate) fn while_extracting(line: &[u8]) -> Judged {
    let Some(message) = message(line) else { return Judged::Unknown };
    if message.starts_with("Removing leading `") || message == "Exiting with failure status due to previous errors" {
        return Judged::Noise;
    }
    if message.ends_with("support is not available") {
        return warning(WarningCode::NotRestored, None, message);
    }
    // `setxattrat: Cannot set 'user.x' extended attribute for file 'name': Operation not supported`
    if is_attribute(message) {
        return warning(WarningCode::NotRestored, None, message);
    }
    let Some((path, said)) = split(message) else { return Judged::Unknown };
    let said = said.strip_prefix("Warning: ").unwrap_or(said);
    let code = match said {
        _ if said.starts_with("Cannot mknod: ") => WarningCode::Defused,
        _ if is_attribute(said) => WarningCode::NotRestored,
        _ if ["Cannot change ownership to ", "Cannot change mode to ", "Cannot utime: "]
            .iter()
            .any(|s| said.starts_with(s)) =>
        {
            WarningCode::NotRestored
        }
        _ if said.starts_with("time stamp ") && said.ends_with(" in the future") => return Judged::Noise,
        _ if said.starts_with("implausibly old time stamp ") => return Judged::Noise,
        _ => return Judged::Unknown,
    };
    warning(code, Some(path), said)
}

fn warning(code: WarningCode, path: Option<&str>, said: &str) -> Judged {
    let path = path.map(|path| format!("/{}", printable(&unescape(path), PATH_CHARS).trim_start_matches('/')));
    Judged::Warning(Warning { code, path, message: explain(code, said) })
}

fn explain(code: WarningCode, said: &str) -> String {
    let said = printable(said, 300);
    match code {
        WarningCode::Shrunk => format!("{said}; what is stored is not the file"),
        _ => said,
    }
}

/// Access-control lists and extended attributes, whatever the call is named.
fn is_attribute(said: &str) -> bool {
    ["xattr", "acl_", "acl ", "filecon", "extended attribute"].iter().any(|word| said.contains(word))
}

/// The text after the program's name.
fn message(line: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(line).ok()?;
    text.strip_prefix("tar: ").or_else(|| text.strip_prefix("gtar: "))
}

/// Name and message at the first `: ` that is not part of the name.
fn split(message: &str) -> Option<(&str, &str)> {
    let bytes = message.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b':' if bytes[at + 1] == b' ' => return Some((&message[..at], &message[at + 2..])),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Undoes `--quoting-style=escape`; what is no UTF-8 then becomes the replacement character.
fn unescape(quoted: &str) -> String {
    let bytes = quoted.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'\\').then(|| bytes.get(at + 1)).flatten();
        let Some(next) = escaped else {
            out.push(bytes[at]);
            at += 1;
            continue;
        };
        let octal = bytes
            .get(at + 1..at + 4)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        if let (b'0'..=b'3', Some(byte)) = (next, octal) {
            out.push(byte);
            at += 4;
            continue;
        }
        out.push(match next {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            other => *other,
        });
        at += 2;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> Option<(WarningCode, Option<String>)> {
        match while_creating(line.as_bytes()) {
            Judged::Warning(warning) => Some((warning.code, warning.path)),
            _ => None,
        }
    }

    #[test]
    fn every_sentence_that_we_know_has_its_code_and_its_file() {
        for (line, code, path) in [
            ("tar: d/x: Warning: Cannot open: Permission denied", WarningCode::Unreadable, "/d/x"),
            (
                "tar: d/x: Warning: Read error at byte 0, while reading 512 bytes: Input/output error",
                WarningCode::Unreadable,
                "/d/x",
            ),
            ("tar: d/x: Warning: Cannot stat: No such file or directory", WarningCode::Vanished, "/d/x"),
            ("tar: d/x: File removed before we read it", WarningCode::Vanished, "/d/x"),
            ("tar: d/x: file changed as we read it", WarningCode::Changed, "/d/x"),
            ("tar: d/x: File shrank by 5 bytes; padding with zeros", WarningCode::Shrunk, "/d/x"),
            ("tar: d/s\\: ck: socket ignored", WarningCode::NotStored, "/d/s: ck"),
            (
                "tar: d/a\\: b/x\\: Cannot open\\: y: Warning: Cannot open: Permission denied",
                WarningCode::Unreadable,
                "/d/a: b/x: Cannot open: y",
            ),
            ("tar: d/\\303\\251\\\\: Warning: Cannot open: Permission denied", WarningCode::Unreadable, "/d/é\\"),
            ("gtar: d: Warning: Cannot llistxattr: Input/output error", WarningCode::NotStored, "/d"),
        ] {
            assert_eq!(judged(line), Some((code, Some(path.to_owned()))), "{line}");
        }
    }

    #[test]
    fn what_we_do_not_know_is_never_harmless() {
        for line in [
            "tar: d/x: Cannot open: Permission denied",
            "tar: d/x: something new",
            "tar: -: Wrote only 4096 of 10240 bytes",
            "tar: Error is not recoverable: exiting now",
            "sh: 1: tar: not found",
            "d/x: file changed as we read it",
            "",
        ] {
            assert_eq!(while_creating(line.as_bytes()), Judged::Unknown, "{line}");
        }
        assert_eq!(while_extracting(b"tar: a: Cannot open: File exists"), Judged::Unknown);
        assert_eq!(while_extracting(b"tar: a: Cannot write: No space left on device"), Judged::Unknown);
    }

    #[test]
    fn a_name_that_would_move_the_cursor_is_shown_harmless() {
        let Judged::Warning(warning) = while_creating(b"tar: d/\\033[2J\\342\\200\\256x: socket ignored") else {
            panic!()
        };
        assert!(!warning.path.unwrap().contains(['\u{1b}', '\u{202e}']));
    }
}
