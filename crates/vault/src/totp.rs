//! Codes of authenticator apps: RFC 6238 with what every app can do (SHA-1, six digits, 30 seconds).

use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use totp_rs::{Algorithm, Secret, TOTP};

/// RFC 4226 recommends 160 bits.
const SECRET_BYTES: usize = 20;
const DIGITS: usize = 6;
const STEP_SECS: u64 = 30;
/// A phone's clock may be one step off, either way.
const SKEW_STEPS: i64 = 1;
const ISSUER: &str = "Holdfast";

/// What an authenticator app and we share.
pub struct TotpSecret(SecretSlice<u8>);

impl TotpSecret {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = vec![0u8; SECRET_BYTES];
        rng.fill_bytes(&mut bytes);
        Self(SecretSlice::from(bytes))
    }

    /// The stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == SECRET_BYTES).then(|| Self(SecretSlice::from(bytes.to_vec())))
    }

    /// What [`TotpSecret::base32`] shows: for tests, which play the app.
    #[must_use]
    pub fn from_base32(text: &str) -> Option<Self> {
        Secret::Encoded(text.to_owned()).to_bytes().ok().and_then(|bytes| Self::from_bytes(&bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    fn totp(&self, account: &str) -> TOTP {
        // A colon would end the issuer's name within the label.
        let account = account.replace(':', " ");
        let secret = self.as_bytes().to_vec();
        TOTP::new(Algorithm::SHA1, DIGITS, 0, STEP_SECS, secret, Some(ISSUER.to_owned()), account)
            .expect("160 bits, six digits and names without a colon are what it takes")
    }

    /// `otpauth://totp/…`, what an app reads from a picture.
    #[must_use]
    pub fn uri(&self, account: &str) -> SecretString {
        SecretString::from(self.totp(account).get_url())
    }

    /// The secret as it is typed into an app.
    #[must_use]
    pub fn base32(&self) -> SecretString {
        SecretString::from(self.totp("").get_secret_base32())
    }

    /// The step whose code this is, at `at_secs` (Unix time) or one step off. A code must not be accepted for a step that
    /// is not later than the last accepted one.
    #[must_use]
    pub fn step_of(&self, code: &str, at_secs: i64) -> Option<i64> {
        let totp = self.totp("");
        let now = at_secs.div_euclid(STEP_SECS.cast_signed());
        let fits = |step: &i64| {
            let at = u64::try_from(step * STEP_SECS.cast_signed()).unwrap_or_default();
            totp.check(code, at)
        };
        (now - SKEW_STEPS..=now + SKEW_STEPS).find(fits)
    }

    /// The code at `at_secs`: for tests, which play the app.
    #[must_use]
    pub fn code_at(&self, at_secs: i64) -> String {
        self.totp("").generate(u64::try_from(at_secs).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn it_is_the_standards_own_example() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        // RFC 6238, appendix B: the last six of eight digits.
        for (at, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(secret.code_at(at), code);
            assert_eq!(secret.step_of(code, at), Some(at / 30));
        }
    }

    #[test]
    fn one_step_off_is_accepted_and_two_are_not() {
        let secret = TotpSecret::generate(&mut StdRng::seed_from_u64(1));
        let now = 1_723_000_000;
        for (off, expected) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let step = secret.step_of(&secret.code_at(now + off), now);
            assert_eq!(step, expected.then_some((now + off) / 30), "{off}");
        }
        assert_eq!(secret.step_of("", now), None);
    }

    #[test]
    fn an_app_can_read_it() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890").unwrap();
        let uri = secret.uri("ann:x@example.com");
        let expected =
            "otpauth://totp/Holdfast:ann%20x%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Holdfast";
        assert_eq!(uri.expose_secret(), expected);
        assert_eq!(secret.base32().expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
