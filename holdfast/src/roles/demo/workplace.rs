//! The demo's folder: everything it makes lies in there, and goes away with it.

use super::DemoArgs;
use anyhow::{Context, Result, ensure};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The tree is there twice, its download beside that, and for a moment four stored backups of half its size; the rest
/// is for the databases.
const ROOM_PER_BYTE: u64 = 5;
const ROOM_BYTES: u64 = 2 << 30;

/// A folder that is removed when this is dropped.
pub(super) struct Workplace(PathBuf);

impl Workplace {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be made, or there is too little room.
    pub(super) fn make(args: &DemoArgs) -> Result<Self> {
        let parent = args.folder.canonicalize().with_context(|| format!("{} cannot be used", args.folder.display()))?;
        let space = rustix::fs::statvfs(&parent)?;
        let (free, needed) =
            (space.f_bavail * space.f_frsize, (u64::from(args.size_mib) << 20) * ROOM_PER_BYTE + ROOM_BYTES);
        ensure!(
            free >= needed,
            "the demo needs {} MiB in {}, and {} MiB are free; name another place with --folder, or a smaller tree with --size-mib",
            needed >> 20,
            parent.display(),
            free >> 20
        );
        let folder = parent.join(format!("holdfast-demo-{}", std::process::id()));
        // The database runs as another user when root starts it: it may pass, but not list.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().mode(mode).create(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self(folder))
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The product's data folder.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.0.join("data")
    }

    /// What the customer has.
    pub(super) fn tree(&self) -> PathBuf {
        self.0.join("customer/tree")
    }

    /// Removes it now, and says so if that fails.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("{} cannot be removed", self.0.display()))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
