//! Every step below the root: `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`, one component at a time when
//! making folders. No path of a tenant is ever given to a call that would follow a link or leave the root.

use holdfast_domain::{Failure, FailureCode, Step};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;

/// How names are resolved.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Folders are ours alone.
const FOLDER_MODE: Mode = Mode::RWXU;
/// So are files.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A call on the disk that failed.
#[derive(Debug)]
pub(crate) struct DiskError {
    what: &'static str,
    errno: Errno,
}

impl DiskError {
    pub(crate) fn of(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self { what, errno }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |e| Self { what, errno: Errno::from_io_error(&e).unwrap_or(Errno::IO) }
    }

    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.errno, Errno::NOENT | Errno::NOTDIR)
    }

    pub(crate) fn exists(&self) -> bool {
        self.errno == Errno::EXIST
    }

    /// As a user reads it.
    pub(crate) fn failure(&self, step: Step) -> Failure {
        let what = self.what;
        match self.errno {
            Errno::NOSPC | Errno::DQUOT => {
                Failure::new(step, FailureCode::DestinationFull, format!("The store has no room left ({what})."))
            }
            Errno::LOOP | Errno::XDEV => Failure::new(
                step,
                FailureCode::DestinationFailed,
                format!("A link in the store's folders leads elsewhere; it is not followed ({what})."),
            ),
            errno => {
                let error = std::io::Error::from(errno);
                Failure::new(step, FailureCode::DestinationFailed, format!("The store's disk: {what}: {error}."))
            }
        }
    }
}

/// Opens the folders of `path`, making those that are missing.
pub(crate) fn make_folders(root: BorrowedFd<'_>, path: &[&str]) -> Result<OwnedFd, DiskError> {
    let mut folder = open_folder(root, ".")?;
    for name in path {
        match rustix::fs::mkdirat(&folder, *name, FOLDER_MODE) {
            // A new name is durable only once its folder is.
            Ok(()) => rustix::fs::fsync(&folder).map_err(DiskError::of("keeping a new folder"))?,
            Err(Errno::EXIST) => (),
            Err(errno) => return Err(DiskError::of("making a folder")(errno)),
        }
        folder = open_folder(folder.as_fd(), name)?;
    }
    Ok(folder)
}

/// Opens the folders of `path`.
pub(crate) fn open_folders(root: BorrowedFd<'_>, path: &[&str]) -> Result<OwnedFd, DiskError> {
    let mut folder = open_folder(root, ".")?;
    for name in path {
        folder = open_folder(folder.as_fd(), name)?;
    }
    Ok(folder)
}

/// Makes a file that must not exist.
pub(crate) fn create(folder: BorrowedFd<'_>, name: &str) -> Result<File, DiskError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(folder, name, flags, FILE_MODE, RESOLVE).map(File::from).map_err(DiskError::of("making a file"))
}

/// Opens a regular file for reading.
pub(crate) fn open_file(folder: BorrowedFd<'_>, name: &str) -> Result<File, DiskError> {
    let open = DiskError::of("opening a file");
    // Not blocking: a planted pipe must not hold the thread.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat2(folder, name, flags, Mode::empty(), RESOLVE) {
        Ok(fd) => File::from(fd),
        Err(errno) => return Err(open(errno)),
    };
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err(open(Errno::INVAL)),
        Err(e) => Err(DiskError::io("looking at a file")(e)),
    }
}

/// Gives a file its final name, which must be free.
pub(crate) fn rename(folder: BorrowedFd<'_>, from: &str, to: &str) -> Result<(), DiskError> {
    match rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
        // A file system that cannot (NFS): a link refuses a taken name as well.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::linkat(folder, from, folder, to, AtFlags::empty()).map_err(DiskError::of("linking a file"))?;
            remove(folder, from).map(drop)
        }
        renamed => renamed.map_err(DiskError::of("renaming a file")),
    }
}

/// Removes a file; says whether it was there.
pub(crate) fn remove(folder: BorrowedFd<'_>, name: &str) -> Result<bool, DiskError> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(DiskError::of("removing a file")(errno)),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: BorrowedFd<'_>) -> Result<(), DiskError> {
    rustix::fs::fsync(folder).map_err(DiskError::of("keeping a folder"))
}

/// The components of an object's name, if all of them are plain names. `openat2` would refuse the others too; they are
/// told apart here because it is our own fault then.
pub(crate) fn components(name: &str) -> Option<(Vec<&str>, &str)> {
    let is_plain = |part: &&str| !part.is_empty() && *part != "." && *part != ".." && !part.contains(['\0', '\\']);
    let mut parts: Vec<&str> = name.split('/').collect();
    if !parts.iter().all(is_plain) {
        return None;
    }
    let last = parts.pop()?;
    Some((parts, last))
}

fn open_folder(at: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, DiskError> {
    // Without NOFOLLOW: a link is then refused as one (ELOOP), and not taken for a folder that is absent (ENOTDIR).
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(at, name, flags, Mode::empty(), RESOLVE).map_err(DiskError::of("opening a folder"))
}
