//! Secrets of tickets: what the api sends to a worker's data plane once. Only the SHA-256 is stored, so that a copy
//! of the database opens nothing.

use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// 256 bits: not to be guessed within the minute that a ticket lives.
const SECRET_BYTES: usize = 32;

/// The text is no ticket.
#[derive(Debug, thiserror::Error)]
#[error("not a ticket")]
pub struct NotATicket;

/// A ticket's secret. It has no `Debug`: it opens one action of one team.
pub struct TicketSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TicketSecret {
    /// A new one from `rng`.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0u8; SECRET_BYTES]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// Reads the header's form.
    ///
    /// # Errors
    /// It is not 64 hexadecimal digits.
    pub fn from_wire(text: &str) -> Result<Self, NotATicket> {
        let mut bytes = Zeroizing::new([0u8; SECRET_BYTES]);
        hex::decode_to_slice(text, bytes.as_mut()).map_err(|_| NotATicket)?;
        Ok(Self(bytes))
    }

    /// The header's form.
    #[must_use]
    pub fn to_wire(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_ref()))
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_ref()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_carries_the_secret_and_the_database_does_not() {
        let secret = TicketSecret::generate(&mut rand::rng());
        let wire = secret.to_wire();
        assert_eq!(TicketSecret::from_wire(&wire).map(|s| s.hash()).ok(), Some(secret.hash()));
        assert!(!wire.contains(&hex::encode(secret.hash())));
        assert!(TicketSecret::from_wire("abc").is_err());
        assert!(TicketSecret::from_wire(&"é".repeat(32)).is_err());
    }
}
