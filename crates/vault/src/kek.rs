//! The key-encryption key: 32 random bytes in a file outside the database, which only workers (and the operator's own
//! commands) may read. Never in an environment variable, in the database or in a log. Whoever loses it loses every
//! sealed secret, and with them the backups in managed mode.

use crate::key_file;
use hmac::{Hmac, Mac};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// First line of the file: what it is, and in which form.
const HEADER: &str = "holdfast-kek-1";

/// Why there is no key. Each sentence says what to do; none repeats the file's content.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no such file.
    #[error("there is no key file at {0}; put the copy you kept there, or name it with `vault.kek_file`")]
    Missing(PathBuf),
    /// Others than the owner may read it.
    #[error("the key file {path} can be read by others (mode {mode:03o}); run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a key file, or not a whole one.
    #[error("{0} is not a whole key file: it must hold the line `{1}` and a line of 64 hexadecimal digits")]
    Malformed(PathBuf, &'static str),
    /// A key is to be written where one is.
    #[error("{0} exists already; move it away first")]
    Exists(PathBuf),
    /// The system refused.
    #[error("the key file {path} cannot be {act}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        act: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

/// How [`Kek::load_or_create`] came by the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KekOrigin {
    /// The file was there.
    Loaded,
    /// It was made now: the operator must be told to copy it.
    Created,
}

/// The key-encryption key. Wiped from memory when dropped; it has no printable form except [`Kek::export`].
pub struct Kek(SecretBox<[u8; 32]>);

impl Kek {
    /// Fresh random bytes, in memory only.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| rng.fill_bytes(bytes)))
    }

    /// Reads the key at `path`.
    ///
    /// # Errors
    /// The file is missing, readable by group or others, or not a whole key file.
    pub fn load(path: &Path) -> Result<Self, KekError> {
        key_file::read(path, HEADER).map(|bytes| Self::of(&bytes))
    }

    fn of(bytes: &[u8; 32]) -> Self {
        Self(SecretBox::init_with_mut(|own: &mut [u8; 32]| own.copy_from_slice(bytes)))
    }

    /// Reads the key at `path`, or makes one there (mode 0600) if there is no file. Of two processes that start at
    /// once, one makes the key and both end with that one.
    ///
    /// # Errors
    /// As [`Kek::load`]; or the file cannot be written.
    pub fn load_or_create(path: &Path, rng: &mut impl CryptoRng) -> Result<(Self, KekOrigin), KekError> {
        match Self::load(path) {
            Err(KekError::Missing(_)) => {}
            other => return other.map(|kek| (kek, KekOrigin::Loaded)),
        }
        let kek = Self::generate(rng);
        match kek.write_new(path, rng) {
            Ok(()) => Ok((kek, KekOrigin::Created)),
            Err(KekError::Exists(_)) => Self::load(path).map(|kek| (kek, KekOrigin::Loaded)),
            Err(error) => Err(error),
        }
    }

    /// The file's content, for the encrypted copy of the product's own state (`admin backup`) and nothing else.
    #[must_use]
    pub fn export(&self) -> SecretString {
        key_file::render(HEADER, self.0.expose_secret())
    }

    /// Reads what [`Kek::export`] wrote; none where it is not whole.
    #[must_use]
    pub fn import(text: &str) -> Option<Self> {
        key_file::parse(text, HEADER).map(|bytes| Self::of(&bytes))
    }

    /// Writes the key to `path`, which must not exist: whole and on the disk, or not at all.
    ///
    /// # Errors
    /// [`KekError::Exists`], or the system refused.
    pub fn write_new(&self, path: &Path, rng: &mut impl CryptoRng) -> Result<(), KekError> {
        key_file::write_new(path, &self.export(), rng)
    }

    /// Key material for one purpose, so that no two uses share bytes.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

    fn rng() -> StdRng {
        StdRng::seed_from_u64(7)
    }

    #[test]
    fn the_first_start_makes_a_private_file_and_the_second_reads_the_same_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let (made, origin) = Kek::load_or_create(&path, &mut rng()).unwrap();
        assert_eq!(origin, KekOrigin::Created);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let (read, origin) = Kek::load_or_create(&path, &mut StdRng::seed_from_u64(8)).unwrap();
        assert_eq!(origin, KekOrigin::Loaded);
        assert_eq!(made.derive("x"), read.derive("x"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn many_processes_starting_at_once_end_with_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let start = |seed| {
                let path = &path;
                scope.spawn(move || Kek::load_or_create(path, &mut StdRng::seed_from_u64(seed)).unwrap().0.derive("x"))
            };
            let running: Vec<_> = (0..16).map(start).collect();
            running.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        Kek::load_or_create(&path, &mut rng()).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = Kek::load(&path).err().unwrap();
            assert!(matches!(refused, KekError::TooOpen { mode: seen, .. } if seen == mode), "{refused}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(Kek::load(&path).is_ok());
    }

    #[test]
    fn a_cut_or_foreign_file_is_refused_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let whole = Kek::generate(&mut rng()).export();
        let cut = &whole.expose_secret()[..whole.expose_secret().len() - 3];
        for content in ["", "hello", HEADER, cut, &"a".repeat(9000)] {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            assert!(matches!(Kek::load_or_create(&path, &mut rng()), Err(KekError::Malformed(..))));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn the_exported_text_is_the_same_key_again() {
        let kek = Kek::generate(&mut rng());
        let again = Kek::import(kek.export().expose_secret()).unwrap();
        assert_eq!(kek.derive("x"), again.derive("x"));
        assert_ne!(kek.derive("x"), kek.derive("y"));
    }
}
