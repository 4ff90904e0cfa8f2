//! The folder of one installation: the private database, the key file, copies made before migrations, and the root of
//! local destinations. One process at a time owns it; the lock goes away with its holder, however it ends.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at a lock that somebody else holds.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// A prepared data folder.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Makes the folder if it is missing. As root others may pass through it (the database runs as another user) but
    /// not list it.
    ///
    /// # Errors
    /// The system refused.
    pub fn prepare(path: &Path) -> Result<Self> {
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
            .with_context(|| format!("the data folder {} cannot be made", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("the data folder {} cannot be used", path.display()))?;
        Ok(Self(path))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The key-encryption key, unless `vault.kek_file` names another place.
    pub fn kek_file(&self) -> PathBuf {
        self.0.join("kek")
    }

    /// The private database.
    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    /// Copies of the database from before migrations.
    pub fn copies(&self) -> PathBuf {
        self.0.join("copies")
    }

    /// The root of local destinations, unless `destinations.local_root` names another place.
    pub fn local_root(&self) -> PathBuf {
        self.0.join("local")
    }

    /// Tries to own the folder.
    ///
    /// # Errors
    /// The lock file cannot be written.
    pub fn try_own(&self, role: &str) -> Result<Option<Lock>> {
        let mut file = self.lock_file("owner.lock")?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{role} {}", std::process::id())?;
        Ok(Some(Lock(file)))
    }

    /// Who owns the folder, as far as it can be told: its role and process id.
    pub fn owner(&self) -> Option<(String, String)> {
        let mut text = String::new();
        self.lock_file("owner.lock").ok()?.read_to_string(&mut text).ok()?;
        text.split_once(' ').map(|(role, pid)| (role.to_owned(), pid.to_owned()))
    }

    /// Says that this process uses the owner's database for a while.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn join_users(&self) -> Result<Lock> {
        let file = self.lock_file("users.lock")?;
        flock(&file, FlockOperation::LockShared).context("locking the data folder")?;
        Ok(Lock(file))
    }

    /// Waits until no other process uses the owner's database, at most `limit`.
    ///
    /// # Errors
    /// Somebody still does.
    pub async fn wait_for_users(&self, limit: Duration) -> Result<()> {
        let file = self.lock_file("users.lock")?;
        let start = Instant::now();
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if start.elapsed() > limit {
                bail!("another command still uses the database in {}", self.0.display());
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
        Ok(())
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.0.join(name);
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// A held lock; dropping it (or dying) gives it back.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its lock, which ends when the file is closed")] File);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_owner_and_it_waits_for_users() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::prepare(&dir.path().join("a/b")).unwrap();
        let owner = data.try_own("up").unwrap();
        assert!(owner.is_some() && data.try_own("admin").unwrap().is_none());
        assert_eq!(data.owner().unwrap(), ("up".to_owned(), std::process::id().to_string()));
        let user = data.join_users().unwrap();
        assert!(data.wait_for_users(Duration::from_millis(150)).await.is_err());
        drop(user);
        data.wait_for_users(Duration::from_secs(5)).await.unwrap();
        drop(owner);
        assert!(data.try_own("admin").unwrap().is_some());
    }
}
