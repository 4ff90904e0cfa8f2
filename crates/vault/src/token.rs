//! API tokens. The database holds only the hash; the secret is shown once, when it is made.

use crate::one_time::OneTimeSecret;
pub use crate::one_time::SecretHash as TokenHash;
use holdfast_domain::ids::TokenId;
use rand::CryptoRng;
use secrecy::SecretString;

const PREFIX: &str = "hf_";

/// A token's secret.
#[derive(Clone)]
pub struct PlainToken(OneTimeSecret);

impl PlainToken {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(OneTimeSecret::generate(PREFIX, rng))
    }

    /// Reads what stands after `Bearer `: `<id>|<secret>` or the secret alone. The id is a courtesy to clients that
    /// know that form; the secret alone decides. Anything else is no token: blanks, another case, a stored hash.
    #[must_use]
    pub fn parse(bearer: &str) -> Option<Self> {
        let secret = match bearer.split_once('|') {
            Some((id, secret)) if !id.is_empty() && id.len() <= 19 && id.bytes().all(|b| b.is_ascii_digit()) => secret,
            Some(_) => return None,
            None => bearer,
        };
        OneTimeSecret::parse(PREFIX, secret).map(Self)
    }

    /// What the database holds.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.0.hash()
    }

    /// `<id>|<secret>`: what the user is shown, once.
    #[must_use]
    pub fn to_wire(&self, id: TokenId) -> SecretString {
        SecretString::from(format!("{id}|{}", self.0.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use secrecy::ExposeSecret;

    #[test]
    fn both_wire_forms_lead_to_the_stored_hash() {
        let token = PlainToken::generate(&mut StdRng::seed_from_u64(1));
        let wire = token.to_wire(TokenId(17));
        let wire = wire.expose_secret();
        let (id, secret) = wire.split_once('|').unwrap();
        assert_eq!(id, "17");
        assert!(secret.starts_with("hf_"));
        assert_eq!(PlainToken::parse(wire).unwrap().hash(), token.hash());
        assert_eq!(PlainToken::parse(secret).unwrap().hash(), token.hash());
        assert_ne!(PlainToken::generate(&mut StdRng::seed_from_u64(2)).hash(), token.hash());
    }

    #[test]
    fn what_is_near_a_token_is_none() {
        let token = PlainToken::generate(&mut StdRng::seed_from_u64(1));
        let wire = token.to_wire(TokenId(1)).expose_secret().to_owned();
        let secret = wire.split_once('|').unwrap().1;
        let near = [
            format!("{wire} "),
            format!(" {wire}"),
            format!("{wire}\0"),
            wire.to_uppercase(),
            format!("|{secret}"),
            format!("-1|{secret}"),
            format!("1|1|{secret}"),
            secret.trim_start_matches("hf_").to_owned(),
            hex::encode(token.hash().as_bytes()),
            "eyJhbGciOiJub25lIn0.e30.".to_owned(),
            String::new(),
        ];
        for text in near {
            assert!(PlainToken::parse(&text).is_none(), "{text:?}");
        }
    }
}
