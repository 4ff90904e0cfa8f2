//! The log-in key: what the api needs to check second factors. It is derived from the key-encryption key, so that a copy
//! of that one brings it back; it leads nowhere from there, so the api can hold it and still open no tenant's secret.

use crate::kek::{Kek, KekError};
use crate::key_file;
use crate::seal::{OpenError, Opener, SealContext, Sealer};
use crate::totp::TotpSecret;
use hmac::{Hmac, Mac};
use rand::{CryptoRng, Rng};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use std::path::Path;
use zeroize::Zeroizing;

/// First line of the file.
const HEADER: &str = "holdfast-login-key-1";

/// How many recovery codes a person has.
pub const RECOVERY_CODES: usize = 10;
/// Without vowels and without what looks like another character: no words, no mistakes.
const CODE_ALPHABET: &[u8; 28] = b"bcdfghjkmnpqrstvwxz23456789y";
/// Characters of a recovery code, in two halves: more than 50 bits.
const CODE_CHARS: usize = 12;

/// The log-in key.
pub struct LoginKey {
    material: SecretBox<[u8; 32]>,
    opener: Opener,
    sealer: Sealer,
}

impl LoginKey {
    /// The log-in key that belongs to a key-encryption key.
    #[must_use]
    pub fn from_kek(kek: &Kek) -> Self {
        Self::of(&kek.derive("holdfast log-in key, version 1"))
    }

    fn of(bytes: &[u8; 32]) -> Self {
        let material = SecretBox::init_with_mut(|own: &mut [u8; 32]| own.copy_from_slice(bytes));
        let opener = Opener::from_material(&derive(&material, b"two-factor secrets"));
        let sealer = Sealer::from_public_key(opener.public_key()).expect("a derived key is a usable point");
        Self { material, opener, sealer }
    }

    /// Reads the key at `path`.
    ///
    /// # Errors
    /// The file is missing, readable by group or others, or not a whole key file.
    pub fn load(path: &Path) -> Result<Self, KekError> {
        key_file::read(path, HEADER).map(|bytes| Self::of(&bytes))
    }

    /// Writes the key to `path`, which must not exist.
    ///
    /// # Errors
    /// [`KekError::Exists`], or the system refused.
    pub fn write_new(&self, path: &Path, rng: &mut impl CryptoRng) -> Result<(), KekError> {
        key_file::write_new(path, &key_file::render(HEADER, self.material.expose_secret()), rng)
    }

    /// Whether it is the same key.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.opener.public_key() == other.opener.public_key()
    }

    /// Seals a two-factor secret for its row.
    #[must_use]
    pub fn seal(&self, place: &SealContext, secret: &TotpSecret, rng: &mut impl CryptoRng) -> Vec<u8> {
        self.sealer.seal(place, secret.as_bytes(), rng)
    }

    /// Opens what [`LoginKey::seal`] sealed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, place: &SealContext, sealed: &[u8]) -> Result<TotpSecret, OpenError> {
        let opened = self.opener.open(place, sealed)?;
        TotpSecret::from_bytes(opened.expose_secret()).ok_or(OpenError::Refused)
    }

    /// What the database holds of a person's recovery code: without the key it cannot be searched for.
    #[must_use]
    pub fn recovery_code_hash(&self, user_id: i64, code: &str) -> Vec<u8> {
        let key = derive(&self.material, b"recovery codes");
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        mac.update(&user_id.to_be_bytes());
        let typed = code.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
        mac.update(&Zeroizing::new(typed.collect::<Vec<u8>>()));
        mac.finalize().into_bytes().to_vec()
    }
}

/// A new recovery code, as `hjk3nq-8wzrtb`.
#[must_use]
pub fn recovery_code(rng: &mut impl CryptoRng) -> SecretString {
    let mut code = Zeroizing::new(String::with_capacity(CODE_CHARS + 1));
    for at in 0..CODE_CHARS {
        if at == CODE_CHARS / 2 {
            code.push('-');
        }
        code.push(char::from(CODE_ALPHABET[rng.random_range(0..CODE_ALPHABET.len())]));
    }
    SecretString::from(code.as_str())
}

fn derive(material: &SecretBox<[u8; 32]>, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(material.expose_secret()).expect("HMAC takes a key of any length");
    mac.update(purpose);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealedColumn;
    use holdfast_domain::ids::TeamId;
    use rand::{SeedableRng, rngs::StdRng};
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn it_comes_back_from_the_key_file_and_opens_nothing_of_the_workers() {
        let mut rng = StdRng::seed_from_u64(1);
        let kek = Kek::generate(&mut rng);
        let key = LoginKey::from_kek(&kek);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("login-key");
        key.write_new(&path, &mut rng).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(LoginKey::load(&path).unwrap().is_same(&LoginKey::from_kek(&kek)));
        assert!(matches!(Kek::load(&path), Err(KekError::Malformed(..))), "it is no key-encryption key");
        let place = SealContext::new(TeamId(1), SealedColumn::TwoFactorSecret, uuid::Uuid::from_u128(7));
        let secret = TotpSecret::generate(&mut rng);
        let sealed = key.seal(&place, &secret, &mut rng);
        assert_eq!(key.open(&place, &sealed).ok().unwrap().as_bytes(), secret.as_bytes());
        assert!(Opener::from_kek(&kek).open(&place, &sealed).is_err(), "the workers' key does not open it");
        let sealer = Sealer::from_public_key(Opener::from_kek(&kek).public_key()).unwrap();
        let tenants = sealer.seal(&place, secret.as_bytes(), &mut rng);
        assert!(key.open(&place, &tenants).is_err(), "and it does not open what the workers' key sealed");
        assert!(!key.is_same(&LoginKey::from_kek(&Kek::generate(&mut rng))));
    }

    #[test]
    fn a_recovery_code_is_a_persons_own_however_it_is_typed() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = LoginKey::from_kek(&Kek::generate(&mut rng));
        let code = recovery_code(&mut rng);
        let code = code.expose_secret();
        assert_eq!((code.len(), code.find('-')), (13, Some(6)));
        let typed = code.to_uppercase().replace('-', " ");
        assert_eq!(key.recovery_code_hash(1, code), key.recovery_code_hash(1, &typed));
        assert_ne!(key.recovery_code_hash(1, code), key.recovery_code_hash(2, code));
        assert_ne!(recovery_code(&mut rng).expose_secret(), code);
    }
}
