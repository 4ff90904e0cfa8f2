//! What two entries can differ in, and how each is found.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes read from each file at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// What two entries can differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Not in the second tree.
    Missing,
    /// Not in the first tree.
    Unexpected,
    /// File, folder, link, pipe.
    Kind,
    /// Bytes of a file.
    Content,
    /// Permissions, with set-id and sticky bits.
    Mode,
    /// User and group, by number.
    Owner,
    /// Time of last change, to the nanosecond.
    Mtime,
    /// Where a symbolic link points.
    SymlinkTarget,
    /// Which names are the same file.
    HardLink,
    /// Extended attributes of the user and access lists.
    Attributes,
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected",
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Mtime => "mtime",
            Self::SymlinkTarget => "symlink target",
            Self::HardLink => "hard link",
            Self::Attributes => "attributes",
        })
    }
}

/// What kind of entry it is, for a reader.
pub(super) fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => "a file",
        () if kind.is_dir() => "a folder",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

/// Differences that the inodes show.
pub(super) fn of_inode(expected: &Metadata, actual: &Metadata, with_owners: bool) -> Vec<(Aspect, String)> {
    let mut found = Vec::new();
    // Linux gives every symbolic link the mode 0777.
    if expected.mode() != actual.mode() {
        let detail = format!("{:04o} expected, {:04o} found", expected.mode() & 0o7777, actual.mode() & 0o7777);
        found.push((Aspect::Mode, detail));
    }
    let owner = |meta: &Metadata| (meta.uid(), meta.gid());
    if with_owners && owner(expected) != owner(actual) {
        found.push((Aspect::Owner, format!("{:?} expected, {:?} found", owner(expected), owner(actual))));
    }
    let mtime = |meta: &Metadata| (meta.mtime(), meta.mtime_nsec());
    if mtime(expected) != mtime(actual) {
        let ((secs, nanos), (got_secs, got_nanos)) = (mtime(expected), mtime(actual));
        found.push((Aspect::Mtime, format!("{secs}.{nanos:09} expected, {got_secs}.{got_nanos:09} found")));
    }
    found
}

/// What differs in two files' bytes.
pub(super) fn content(expected: &Path, actual: &Path) -> Result<Option<String>> {
    let (mut ours, mut theirs) = (open(expected)?, open(actual)?);
    let (wanted, got) = (ours.metadata()?.len(), theirs.metadata()?.len());
    if wanted != got {
        return Ok(Some(format!("{wanted} bytes expected, {got} found")));
    }
    let room = CHUNK_BYTES.min(usize::try_from(wanted)? + 1);
    let (mut left, mut right, mut at) = (vec![0; room], vec![0; room], 0_u64);
    loop {
        let (l, r) = (fill(&mut ours, &mut left)?, fill(&mut theirs, &mut right)?);
        if left[..l] != right[..r] {
            let offset = left[..l].iter().zip(&right[..r]).take_while(|(a, b)| a == b).count();
            return Ok(Some(format!("the first different byte is at {}", at + offset as u64)));
        }
        if l < left.len() {
            return Ok(None);
        }
        at += l as u64;
    }
}

/// What differs in attributes of the user and access lists. Those of the system (labels, capabilities) belong to the
/// machine and are not compared.
pub(super) fn attributes(expected: &Path, actual: &Path) -> Result<Option<String>> {
    let (ours, theirs) = (read_attributes(expected)?, read_attributes(actual)?);
    if ours == theirs {
        return Ok(None);
    }
    let differs = |name: &&Vec<u8>| ours.get(*name) != theirs.get(*name);
    let names: Vec<String> = ours
        .keys()
        .chain(theirs.keys().filter(|name| !ours.contains_key(*name)))
        .filter(differs)
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    Ok(Some(format!("{} differ", names.join(", "))))
}

fn read_attributes(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut list = [0_u8; 64 << 10];
    let listed = match rustix::fs::llistxattr(path, &mut list[..]) {
        Ok(len) => &list[..len],
        Err(rustix::io::Errno::OPNOTSUPP) => &[],
        Err(error) => return Err(error).with_context(|| format!("cannot list the attributes of {}", path.display())),
    };
    let mut found = BTreeMap::new();
    for name in listed.split(|byte| *byte == 0) {
        if !name.starts_with(b"user.") && !name.starts_with(b"system.posix_acl_") {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        let len = rustix::fs::lgetxattr(path, name, &mut value[..])
            .with_context(|| format!("cannot read an attribute of {}", path.display()))?;
        value.truncate(len);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

/// Opens without changing the time of last access, where we may.
fn open(path: &Path) -> Result<File> {
    let no_access_time = i32::try_from(rustix::fs::OFlags::NOATIME.bits())?;
    File::options()
        .read(true)
        .custom_flags(no_access_time)
        .open(path)
        .or_else(|_| File::open(path))
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Reads until `buffer` is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read(&mut buffer[len..])? {
            0 => break,
            n => len += n,
        }
    }
    Ok(len)
}
