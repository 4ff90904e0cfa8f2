//! A key in a file: a line that says which, and 64 hexadecimal digits. Whole and private, or refused.

use crate::kek::KekError;
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key file is about 80 bytes; anything much larger is another file.
const FILE_MAX_BYTES: u64 = 4096;

/// Reads the key at `path`.
pub(crate) fn read(path: &Path, header: &'static str) -> Result<Zeroizing<[u8; 32]>, KekError> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => KekError::Missing(path.to_owned()),
        _ => KekError::Io { path: path.to_owned(), act: "read", error },
    };
    let malformed = || KekError::Malformed(path.to_owned(), header);
    let file = File::open(path).map_err(io)?;
    // Of the opened file, not of the name: between the two another file could take the name.
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(malformed());
    }
    if meta.mode() & 0o077 != 0 {
        return Err(KekError::TooOpen { path: path.to_owned(), mode: meta.mode() & 0o777 });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text).map_err(io)?;
    std::str::from_utf8(&text).ok().and_then(|text| parse(text, header)).ok_or_else(malformed)
}

/// The file's content.
pub(crate) fn render(header: &str, key: &[u8; 32]) -> SecretString {
    let digits = Zeroizing::new(hex::encode(key));
    SecretString::from(format!("{header}\n{}\n", digits.as_str()))
}

/// Reads what [`render`] wrote; none where it is not whole.
pub(crate) fn parse(text: &str, header: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (first, digits) = (lines.next()?, lines.next()?);
    if first != header || lines.next().is_some() {
        return None;
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    Some(bytes)
}

/// Writes `content` to `path`, which must not exist: whole and on the disk, or not at all.
pub(crate) fn write_new(path: &Path, content: &SecretString, rng: &mut impl CryptoRng) -> Result<(), KekError> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KekError::Exists(path.to_owned()),
        _ => KekError::Io { path: path.to_owned(), act: "written", error },
    };
    let mut suffix = [0u8; 8];
    rng.fill_bytes(&mut suffix);
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".part-{}", hex::encode(suffix)));
    let part = PathBuf::from(part);
    // A half-written key under the final name would be refused at every later start: hence the second name, and
    // a hard link because, unlike a rename, it does not replace what another process put there meanwhile.
    let written = write_part(&part, content).and_then(|()| std::fs::hard_link(&part, path));
    let removed = std::fs::remove_file(&part);
    written.map_err(io)?;
    removed.map_err(io)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

fn write_part(part: &Path, content: &SecretString) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    file.write_all(content.expose_secret().as_bytes())?;
    file.sync_all()
}
