//! How streams are sealed and opened: age's public format (<https://age-encryption.org/v1>), so that the `age` command
//! opens what we store. Keys and passwords have no Debug and never leave this process.

use crate::reader::{carried, damaged};
use age::stream::{StreamReader, StreamWriter};
use age_core::format::{FILE_KEY_BYTES, FileKey as AgeFileKey, Stanza};
use holdfast_domain::{Failure, FailureCode, Step};
use secrecy::{ExposeSecret as _, SecretString};
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// scrypt's cost of a new password backup: 2^15, that is 32 MiB and some 0.1 s. The library would take what lasts a
/// second here, up to 1 GB.
const SCRYPT_LOG_N: u8 = 15;
/// The highest cost accepted when opening: 2^18, 256 MiB. A hostile header could ask for any.
const SCRYPT_MAX_LOG_N: u8 = 18;

/// One password derivation at a time: each takes 32 MiB or more.
static DERIVING: Mutex<()> = Mutex::new(());

/// How a new stream is sealed.
#[derive(Clone)]
pub enum Encryption {
    /// Not at all.
    None,
    /// To X25519 public keys (`age1…`), at least one.
    Recipients(Vec<String>),
    /// With a password.
    Password(SecretString),
}

/// The key of one stream; whoever has it reads that stream and no other.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

/// What opens a stored stream.
#[derive(Clone)]
pub enum DecryptKey {
    /// It is not encrypted.
    None,
    /// An X25519 secret key (`AGE-SECRET-KEY-1…`).
    Identity(SecretString),
    /// The password it was made with.
    Password(SecretString),
    /// The stream's own key, kept from when it was made.
    FileKey(FileKey),
}

impl Encryption {
    /// Whether stored bytes are ciphertext.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// # Errors
    /// A recipient is not an X25519 public key, or there is none, or the password is empty.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::None => Ok(()),
            Self::Recipients(keys) => recipients(keys).map(drop),
            Self::Password(password) if password.expose_secret().is_empty() => Err(invalid("The password is empty.")),
            Self::Password(_) => Ok(()),
        }
    }
}

/// A writer that seals.
pub(crate) enum Sealed<W: Write> {
    Plain(W),
    Age(StreamWriter<W>),
}

impl<W: Write> Sealed<W> {
    /// Starts a stream on `out`, and returns what opens it for as long as the process remembers.
    pub(crate) fn start(encryption: &Encryption, out: W) -> Result<(Self, DecryptKey), Failure> {
        let (mut first, rest): (Capture, Vec<age::x25519::Recipient>) = match encryption {
            Encryption::None => return Ok((Self::Plain(out), DecryptKey::None)),
            Encryption::Recipients(keys) => {
                let mut all = recipients(keys)?;
                (Capture::new(Box::new(all.remove(0))), all)
            }
            Encryption::Password(password) => {
                let mut recipient = age::scrypt::Recipient::new(password.clone());
                recipient.set_work_factor(SCRYPT_LOG_N);
                (Capture::new(Box::new(recipient)), Vec::new())
            }
        };
        let one_at_a_time = matches!(encryption, Encryption::Password(_))
            .then(|| DERIVING.lock().unwrap_or_else(PoisonError::into_inner));
        let all = std::iter::once(&first as &dyn age::Recipient).chain(rest.iter().map(|r| r as &dyn age::Recipient));
        let encryptor = age::Encryptor::with_recipients(all).map_err(|e| invalid(&format!("Encryption: {e}.")))?;
        drop(one_at_a_time);
        let key = first.seen.get_mut().take().ok_or_else(|| internal("age did not wrap a file key"))?;
        let writer = encryptor.wrap_output(out).map_err(|e| carried(e, |e| internal(&e.to_string())))?;
        Ok((Self::Age(writer), DecryptKey::FileKey(key)))
    }

    /// Writes the end; a stream without it is refused by every reader.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Age(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buf),
            Self::Age(writer) => writer.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Age(writer) => writer.flush(),
        }
    }
}

/// A reader that opens what [`Sealed`] made.
pub(crate) enum Opened<R> {
    Plain(R),
    Age(Box<StreamReader<R>>),
}

impl<R: Read> Opened<R> {
    /// Reads the header and finds the stream's key.
    pub(crate) fn start(key: &DecryptKey, input: R) -> Result<Self, Failure> {
        let mut deriving = None;
        let identity: Box<dyn age::Identity> = match key {
            DecryptKey::None => return Ok(Self::Plain(input)),
            DecryptKey::Identity(secret) => Box::new(
                age::x25519::Identity::from_str(secret.expose_secret())
                    .map_err(|_| unavailable("The team's key is not an age identity."))?,
            ),
            DecryptKey::Password(password) => {
                let mut identity = age::scrypt::Identity::new(password.clone());
                identity.set_max_work_factor(SCRYPT_MAX_LOG_N);
                deriving = Some(DERIVING.lock().unwrap_or_else(PoisonError::into_inner));
                Box::new(identity)
            }
            DecryptKey::FileKey(file_key) => Box::new(Known(file_key.clone())),
        };
        let is_password = matches!(key, DecryptKey::Password(_));
        let reader = age::Decryptor::new(input)
            .and_then(|d| d.decrypt(std::iter::once(identity.as_ref())))
            .map_err(|e| open_failure(e, is_password))?;
        drop(deriving);
        Ok(Self::Age(Box::new(reader)))
    }
}

impl<R: Read> Read for Opened<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buf),
            Self::Age(reader) => reader.read(buf),
        }
    }
}

impl<R: Read + Seek> Seek for Opened<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(input) => input.seek(to),
            Self::Age(reader) => reader.seek(to),
        }
    }
}

/// Passes the wrapping on and keeps a copy of the file key: what V1 needs in modes whose secret key we do not have.
struct Capture {
    inner: Box<dyn age::Recipient>,
    seen: RefCell<Option<FileKey>>,
}

impl Capture {
    fn new(inner: Box<dyn age::Recipient>) -> Self {
        Self { inner, seen: RefCell::new(None) }
    }
}

impl age::Recipient for Capture {
    fn wrap_file_key(&self, key: &AgeFileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        *self.seen.borrow_mut() = Some(FileKey(Zeroizing::new(*key.expose_secret())));
        self.inner.wrap_file_key(key)
    }
}

/// Answers with a file key known beforehand; the header's MAC still has to agree with it.
struct Known(FileKey);

impl age::Identity for Known {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<AgeFileKey, age::DecryptError>> {
        Some(Ok(AgeFileKey::init_with_mut(|bytes| bytes.copy_from_slice(self.0.0.as_slice()))))
    }
}

fn recipients(keys: &[String]) -> Result<Vec<age::x25519::Recipient>, Failure> {
    if keys.is_empty() {
        return Err(invalid("There is no public key to encrypt to."));
    }
    let parse = |key: &String| {
        age::x25519::Recipient::from_str(key).map_err(|e| invalid(&format!("{key:?} is no age public key: {e}.")))
    };
    keys.iter().map(parse).collect()
}

fn open_failure(error: age::DecryptError, is_password: bool) -> Failure {
    use age::DecryptError as E;
    match error {
        E::Io(e) => carried(e, |_| damaged("The copy's encryption header is cut off.")),
        E::DecryptionFailed | E::KeyDecryptionFailed if is_password => Failure::new(
            Step::ReadCopy,
            FailureCode::WrongPassword,
            "The password does not open the backup, or the header of the copy was changed.",
        ),
        E::NoMatchingKeys if is_password => damaged("The copy is not encrypted with a password."),
        E::NoMatchingKeys => damaged("No key at hand opens the copy, or its encryption header was changed."),
        E::ExcessiveWork { required, .. } => damaged(format!("The copy asks for 2^{required} password work.")),
        E::DecryptionFailed | E::InvalidMac | E::KeyDecryptionFailed => {
            damaged("The copy's encryption header was changed, or it is another backup's.")
        }
        E::InvalidHeader | E::UnknownFormat => damaged("The copy does not begin with an age header."),
    }
}

fn invalid(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
}

fn unavailable(detail: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::SecretUnavailable, detail)
}

fn internal(detail: &str) -> Failure {
    Failure::new(Step::Stream, FailureCode::Internal, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(encryption: &Encryption, plain: &[u8]) -> (Vec<u8>, DecryptKey) {
        let (mut sealed, key) = Sealed::start(encryption, Vec::new()).expect("sealing starts");
        sealed.write_all(plain).expect("a vector takes all");
        (sealed.finish().expect("a vector takes all"), key)
    }

    fn open(key: &DecryptKey, stored: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut plain = Vec::new();
        let mut opened = Opened::start(key, stored)?;
        opened.read_to_end(&mut plain).map_err(|e| carried(e, |e| damaged(e.to_string())))?;
        Ok(plain)
    }

    #[test]
    fn the_captured_file_key_opens_the_stream_and_no_other() {
        let password = Encryption::Password("correct horse battery".into());
        let (first, key) = seal(&password, b"one");
        let (second, _) = seal(&password, b"one");
        assert_ne!(first, second, "equal input must not give equal ciphertext");
        assert_eq!(open(&key, &first).expect("opens"), b"one");
        assert_eq!(open(&key, &second).expect_err("another key").code, FailureCode::CopyDamaged);
    }

    #[test]
    fn a_wrong_password_is_called_that() {
        let (stored, _) = seal(&Encryption::Password("correct horse battery".into()), b"one");
        let wrong = DecryptKey::Password("incorrect horse".into());
        assert_eq!(open(&wrong, &stored).expect_err("wrong").code, FailureCode::WrongPassword);
        let right = DecryptKey::Password("correct horse battery".into());
        assert_eq!(open(&right, &stored).expect("opens"), b"one");
    }

    #[test]
    fn a_header_that_asks_for_endless_work_is_refused() {
        let (stored, _) = seal(&Encryption::Password("correct horse battery".into()), b"one");
        let text = String::from_utf8_lossy(&stored[..150]).into_owned();
        let at = text.find(" 15\n").expect("the header tells the work factor");
        let mut hostile = stored.clone();
        hostile[at..at + 3].copy_from_slice(b" 30");
        let key = DecryptKey::Password("correct horse battery".into());
        let failure = open(&key, &hostile).expect_err("refused");
        assert!(failure.detail.contains("2^30"), "{failure}");
    }

    #[test]
    fn recipients_are_checked_before_anything_is_read() {
        for bad in [vec![], vec!["age1nonsense".to_owned()], vec!["ssh-ed25519 AAAA".to_owned()]] {
            assert_eq!(Encryption::Recipients(bad).check().expect_err("refused").code, FailureCode::InvalidConfig);
        }
    }
}
