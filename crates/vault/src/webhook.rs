//! The secret of a task's webhook: shown once, stored as a hash, good for starting that one task and nothing else.

use crate::one_time::{OneTimeSecret, SecretHash};
use rand::CryptoRng;
use secrecy::SecretString;

const PREFIX: &str = "hfw_";

/// A webhook's secret.
#[derive(Clone)]
pub struct WebhookSecret(OneTimeSecret);

impl WebhookSecret {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(OneTimeSecret::generate(PREFIX, rng))
    }

    /// Exactly what [`WebhookSecret::generate`] makes and nothing near it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        OneTimeSecret::parse(PREFIX, text).map(Self)
    }

    /// What the database holds.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        self.0.hash()
    }

    /// What the user is shown, once.
    #[must_use]
    pub fn to_wire(&self) -> SecretString {
        SecretString::from(self.0.expose().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use secrecy::ExposeSecret;

    #[test]
    fn the_shown_form_leads_to_the_stored_hash_and_a_token_does_not() {
        let secret = WebhookSecret::generate(&mut StdRng::seed_from_u64(1));
        let shown = secret.to_wire().expose_secret().to_owned();
        assert!(shown.starts_with("hfw_"));
        assert!(WebhookSecret::parse(&shown).is_some_and(|parsed| parsed.hash() == secret.hash()));
        for near in [format!("{shown} "), shown.to_uppercase(), shown.replace("hfw_", "hf_"), String::new()] {
            assert!(WebhookSecret::parse(&near).is_none(), "{near:?}");
        }
    }
}
