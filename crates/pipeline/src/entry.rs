//! What the index says of one entry of a tar.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an earlier entry.
    Hardlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// Anything else.
    Other,
}

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// As in the archive; with `path_base64`, only what can be shown of it.
    pub path: String,
    /// The exact bytes where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_base64: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EntryKind,
    /// Bytes of the file, holes included.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The exact bytes of `link` where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_base64: Option<String>,
    /// Names of extended attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<String>,
    /// Where its first header block lies in the plain stream.
    pub offset: u64,
    /// Bytes from there to the next entry: headers, data and padding.
    pub length: u64,
}

impl IndexEntry {
    /// The path's exact bytes.
    #[must_use]
    pub fn path_bytes(&self) -> Cow<'_, [u8]> {
        exact(&self.path, self.path_base64.as_deref())
    }

    /// The link's exact bytes.
    #[must_use]
    pub fn link_bytes(&self) -> Option<Cow<'_, [u8]>> {
        self.link.as_deref().map(|link| exact(link, self.link_base64.as_deref()))
    }
}

/// Text to show, and the exact bytes as base64 where the text is not them.
pub(crate) fn shown(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes))),
    }
}

/// A path as it is compared: no `/` or `./` in front, no `/` at the end. `/var/www`, `var/www/` and `./var/www` name
/// the same entry.
pub(crate) fn comparable(path: &[u8]) -> &[u8] {
    let mut path = path;
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            b"." => b"",
            [rest @ .., b'/'] => rest,
            [rest @ .., b'/', b'.'] => rest,
            _ => return path,
        };
    }
}

/// Whether `path` is `folder` or lies below it; both comparable.
pub(crate) fn is_within(path: &[u8], folder: &[u8]) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

fn exact<'a>(text: &'a str, base64: Option<&str>) -> Cow<'a, [u8]> {
    match base64.and_then(|b| STANDARD.decode(b).ok()) {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_has_one_comparable_path() {
        for path in ["/var/www", "var/www/", "./var/www", "//var/www//", "/var/www/."] {
            assert_eq!(comparable(path.as_bytes()), b"var/www", "{path}");
        }
        assert_eq!(comparable(b"./"), b"");
        assert_eq!(comparable(b"..x/.y"), b"..x/.y");
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_not_what_starts_alike() {
        assert!(is_within(b"var/www/a", b"var/www"));
        assert!(is_within(b"var/www", b"var/www"));
        assert!(is_within(b"var/www", b""));
        assert!(!is_within(b"var/wwwroot", b"var/www"));
    }

    #[test]
    fn bytes_that_are_no_text_come_back_exactly() {
        let (path, path_base64) = shown(b"a\xffb");
        assert_eq!(path, "a\u{fffd}b");
        assert_eq!(exact(&path, path_base64.as_deref()).as_ref(), b"a\xffb");
    }
}
