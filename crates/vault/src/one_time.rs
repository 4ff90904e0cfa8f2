//! Random secrets that are shown once and stored as a hash: API tokens, tickets, the setup link. 192 random bits make
//! a plain SHA-256 enough (nothing can be guessed), and a look-up by hash leaks no timing of the secret.

use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const RANDOM_BYTES: usize = 24;
const DIGITS: usize = RANDOM_BYTES * 2;

/// SHA-256 of a secret: what the database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The bytes for a `bytea` column.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes for a `bytea` column, owned.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// A secret with a recognisable prefix, so that a scanner can find one that leaked.
#[derive(Clone)]
pub struct OneTimeSecret(SecretString);

impl OneTimeSecret {
    pub(crate) fn generate(prefix: &str, rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0u8; RANDOM_BYTES]);
        rng.fill_bytes(bytes.as_mut_slice());
        let digits = Zeroizing::new(hex::encode(bytes.as_slice()));
        Self(SecretString::from(format!("{prefix}{}", digits.as_str())))
    }

    /// Exactly what [`OneTimeSecret::generate`] makes and nothing near it: no blanks, no other case.
    pub(crate) fn parse(prefix: &str, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(prefix)?;
        let is_ours = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_ours.then(|| Self(SecretString::from(text)))
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.expose_secret().as_bytes()).into())
    }

    /// The text, to be shown or sent once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
