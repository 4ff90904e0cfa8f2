//! What real trees hold and careless programs trip over: names, links and attributes. Everything here must survive a
//! backup and a restore unchanged.

use super::Meta;
use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Names that are legal and unpleasant: quoting, options, line ends, shell syntax, encodings, direction, length.
#[must_use]
pub fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "with space",
        " leading space",
        "trailing space ",
        "-rf",
        "--checkpoint-action=exec=touch pwned",
        "-C",
        "@list",
        "it's",
        "say \"hi\"",
        "'; touch pwned; '",
        "line\nbreak",
        "\n",
        "tab\there",
        "carriage\rreturn",
        "$(touch pwned)",
        "`touch pwned`",
        "${HOME}",
        "a;b&c|d>e<f",
        "star*?[x]{y}",
        "back\\slash",
        "\\n",
        "\\",
        "~",
        "#hash",
        "%s%n%00",
        ".hidden",
        "..dots",
        "...",
        "!history",
        "caf\u{e9}",
        "cafe\u{301}",
        "日本語",
        "🗄️ archive",
        "שלום",
        "invoice\u{202e}fdp.exe",
        "\u{feff}bom",
        "zero\u{200b}width",
        "con",
        "aux.txt",
        "colon:name",
        "a=b",
        "path=x",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"latin1-\xe9\xff\xfe".to_vec());
    names.push(b"\xc3".to_vec());
    names.push(b"\x01\x1b[31mred\x07\x7f".to_vec());
    names.push(vec![b'n'; 255]);
    names.push("é".repeat(127).into_bytes());
    names
}

/// Every odd name as a file and as a folder with a file in it. Returns what was made.
pub(super) fn name_entries(below: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for place in ["files", "folders"] {
        folders.push(below.join(place));
        fs::create_dir(below.join(place))?;
    }
    for name in names() {
        let name = OsStr::from_bytes(&name);
        let file = below.join("files").join(name);
        fs::write(&file, name.as_bytes())?;
        let folder = below.join("folders").join(name);
        fs::create_dir(&folder)?;
        fs::write(folder.join(name), b"inside")?;
        files.extend([file, folder.join(name)]);
        folders.push(folder);
    }
    Ok((files, folders))
}

/// A chain of folders whose path is far longer than a classic tar header holds.
pub(super) fn deep_entries(below: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders, mut at) = (Vec::new(), Vec::new(), below.join("deep"));
    for level in 0..28 {
        at.push(format!("level-{level:02}-{}", "d".repeat(40)));
        folders.push(at.clone());
    }
    fs::create_dir_all(&at)?;
    folders.push(below.join("deep"));
    let file = at.join("bottom");
    fs::write(&file, b"the deepest file")?;
    files.push(file);
    Ok((files, folders))
}

/// Symbolic links of every kind; `file` and `folder` exist. Returns the links.
pub(super) fn symlinks(below: &Path, file: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let long = "t/".repeat(400);
    let targets: Vec<(&str, &OsStr)> = vec![
        ("absolute-file", file.as_os_str()),
        ("absolute-folder", folder.as_os_str()),
        ("absolute-outside", OsStr::new("/etc/passwd")),
        ("up", OsStr::new("../../../../../../../../etc/shadow")),
        ("dangling", OsStr::new("nowhere/at all")),
        ("absolute-dangling", OsStr::new("/nonexistent/target")),
        ("self", OsStr::new("self")),
        ("newline", OsStr::new("a\nb")),
        ("dash", OsStr::new("--help")),
        ("bytes", OsStr::from_bytes(b"\xff\xfe\x80")),
        ("dot", OsStr::new(".")),
        ("long", OsStr::new(&long)),
    ];
    let folder = below.join("links");
    fs::create_dir(&folder)?;
    let mut made = Vec::new();
    for (name, target) in targets {
        let link = folder.join(name);
        symlink(target, &link).with_context(|| format!("cannot make the link {}", link.display()))?;
        made.push(link);
    }
    Ok(made)
}

/// A pipe nobody writes to: a reader that opens it waits for ever.
pub(super) fn fifo(at: &Path) -> Result<()> {
    rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o640), 0)?;
    Ok(())
}

/// Extended attributes on `path`: text, bytes, and a name with unusual characters. False where the file system has none.
pub(super) fn set_attributes(path: &Path, number: u64) -> Result<bool> {
    let text = format!("value {number}\nsecond line = \"quoted\"");
    let bytes: Vec<u8> = (0..=255).rev().chain(number.to_le_bytes()).collect();
    for (name, value) in [("user.comment", text.as_bytes()), ("user.bytes", &bytes[..]), ("user.with space", b"x")] {
        match rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot set {name} on {}", path.display())),
        }
    }
    Ok(true)
}

/// A POSIX access list on `path` that gives uid 12345 reading. False where the file system has none.
pub(super) fn set_access_list(path: &Path, meta: &Meta) -> Result<bool> {
    const UNDEFINED: u32 = u32::MAX;
    let (owner, group, other) = (meta.mode >> 6 & 7, meta.mode >> 3 & 7, meta.mode & 7);
    // Linux' own form: version 2, then tag, permissions and id of each entry, in this order of tags.
    let entries = [
        (0x01, owner, UNDEFINED),
        (0x02, 4, 12_345),
        (0x04, group, UNDEFINED),
        (0x10, group | 4, UNDEFINED),
        (0x20, other, UNDEFINED),
    ];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend_from_slice(&u16::to_le_bytes(tag));
        value.extend_from_slice(&(permissions as u16).to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    match rustix::fs::lsetxattr(path, "system.posix_acl_access", &value, XattrFlags::empty()) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot set an access list on {}", path.display())),
    }
}
