//! The private folder of one connection: what `ssh` is told, the keys it may accept, a socket to sign at. No private key is
//! ever in it. It goes away with its owner; what a killed worker left is taken away by the next connection.

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::net::unix::pipe;

const PREFIX: &str = "holdfast-ssh-";

/// The folder.
pub(super) struct Folder(TempDir);

impl Folder {
    /// A fresh folder that only we may enter.
    pub(super) fn create() -> io::Result<Self> {
        let place = std::env::temp_dir();
        sweep(&place);
        let name = format!("{PREFIX}{}-{}-", space(), std::process::id());
        let only_us = fs::Permissions::from_mode(0o700);
        Ok(Self(tempfile::Builder::new().prefix(&name).permissions(only_us).tempdir_in(place)?))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new file that only we may read.
    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(name))?;
        file.write_all(text.as_bytes())
    }

    /// What stands in a file, at most so many bytes of it; nothing where there is none.
    pub(super) fn read(&self, name: &str, max_bytes: u64) -> String {
        let read = || -> io::Result<String> {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(fs::File::open(self.path(name))?, max_bytes), &mut text)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        read().unwrap_or_default()
    }

    /// A pipe with a name, which never ends: both its ends are held by the reader.
    pub(super) fn pipe(&self, name: &str) -> io::Result<pipe::Receiver> {
        mknodat(CWD, self.path(name), FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        pipe::OpenOptions::new().read_write(true).open_receiver(self.path(name))
    }

    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path(name));
    }
}

/// Which process ids ours are: a folder of another container is nobody's business here.
fn space() -> u64 {
    fs::metadata("/proc/self/ns/pid").map(|at| at.ino()).unwrap_or_default()
}

/// Removes the folders of workers that were killed.
fn sweep(place: &Path) {
    let ours = format!("{PREFIX}{}-", space());
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&ours)) else { continue };
        let Some(Ok(pid)) = rest.split('-').next().map(str::parse::<u32>) else { continue };
        let is_ours = entry.metadata().is_ok_and(|at| at.is_dir() && at.uid() == rustix::process::getuid().as_raw());
        if is_ours && !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_ours_alone_and_goes_with_its_owner_or_after_its_death() {
        let folder = Folder::create().unwrap();
        let at = folder.path("");
        assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o700);
        drop(folder);
        assert!(!at.exists());
        // No process has this id: the kernel's largest is 2^22.
        let left = std::env::temp_dir().join(format!("{PREFIX}{}-4194399-x", space()));
        fs::create_dir_all(&left).unwrap();
        let other = std::env::temp_dir().join(format!("{PREFIX}{}-4194399-x", space() + 1));
        fs::create_dir_all(&other).unwrap();
        let folder = Folder::create().unwrap();
        assert!(!left.exists() && other.exists() && folder.path("").exists());
        fs::remove_dir(other).unwrap();
    }
}
