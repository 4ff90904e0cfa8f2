//! The key-encryption key: 32 random bytes in a file outside the database, which only workers (and the operator's own
//! commands) may read. Never in an environment variable, in the database or in a log. Whoever loses it loses every
//! sealed secret, and with them the backups in managed mode.

use hmac::{Hmac, Mac};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// First line of the file: what it is, and in which form.
const HEADER: &str = "holdfast-kek-1";
/// A key file is about 80 bytes; anything much larger is another file.
const FILE_MAX_BYTES: u64 = 4096;

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
    #[error("{0} is not a whole key file: it must hold the line `holdfast-kek-1` and a line of 64 hexadecimal digits")]
    Malformed(PathBuf),
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
        let io = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => KekError::Missing(path.to_owned()),
            _ => KekError::Io { path: path.to_owned(), act: "read", error },
        };
        let file = File::open(path).map_err(io)?;
        // Of the opened file, not of the name: between the two another file could take the name.
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(KekError::Malformed(path.to_owned()));
        }
        if meta.mode() & 0o077 != 0 {
            return Err(KekError::TooOpen { path: path.to_owned(), mode: meta.mode() & 0o777 });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(256));
        file.take(FILE_MAX_BYTES + 1).read_to_end(&mut text).map_err(io)?;
        std::str::from_utf8(&text).ok().and_then(parse).ok_or_else(|| KekError::Malformed(path.to_owned()))
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
        let digits = Zeroizing::new(hex::encode(self.0.expose_secret()));
        SecretString::from(format!("{HEADER}\n{}\n", digits.as_str()))
    }

    /// Reads what [`Kek::export`] wrote; none where it is not whole.
    #[must_use]
    pub fn import(text: &str) -> Option<Self> {
        parse(text)
    }

    /// Writes the key to `path`, which must not exist: whole and on the disk, or not at all.
    ///
    /// # Errors
    /// [`KekError::Exists`], or the system refused.
    pub fn write_new(&self, path: &Path, rng: &mut impl CryptoRng) -> Result<(), KekError> {
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
        let written = self.write_part(&part).and_then(|()| std::fs::hard_link(&part, path));
        let removed = std::fs::remove_file(&part);
        written.map_err(io)?;
        removed.map_err(io)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(io)
    }

    fn write_part(&self, part: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
        file.write_all(self.export().expose_secret().as_bytes())?;
        file.sync_all()
    }

    /// Key material for one purpose, so that no two uses share bytes.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

fn parse(text: &str) -> Option<Kek> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (header, digits) = (lines.next()?, lines.next()?);
    if header != HEADER || lines.next().is_some() {
        return None;
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    Some(Kek(SecretBox::init_with_mut(|own: &mut [u8; 32]| own.copy_from_slice(bytes.as_slice()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::os::unix::fs::PermissionsExt;

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
            assert!(matches!(Kek::load_or_create(&path, &mut rng()), Err(KekError::Malformed(_))));
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
