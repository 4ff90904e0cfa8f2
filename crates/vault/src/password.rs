//! Passwords of people: Argon2id with the parameters of OWASP's first choice. A hash costs 19 MiB and tens of
//! milliseconds: the caller bounds how many run at once and keeps them off the async threads.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::CryptoRng;

/// Fewer characters are refused.
pub const MIN_CHARS: usize = 8;
/// More characters are refused.
pub const MAX_CHARS: usize = 256;
/// More bytes cannot be those of a password: nothing is ever cut, and a hash of a megabyte would be a way to keep us busy.
pub const MAX_BYTES: usize = MAX_CHARS * 4;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The hash of a password that nobody has. Verify against it for an unknown account, so that the answer takes as long
/// as for a known one.
pub const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$aG9sZGZhc3Qtbm9ib2R5$mMNSx1x0N8xPXQFDmzHTuTFZFqAg0LkdZsVhQz2XVGM";

/// Passwords of eight and more characters that every list of guesses begins with, in lower case.
const COMMON: &str = "
    password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword 12345678
    123456789 1234567890 0123456789 123123123 12341234 11111111 00000000 87654321 987654321 qwertyui
    qwertyuiop qwerty123 qwerty12 qwer1234 1q2w3e4r 1q2w3e4r5t 1qaz2wsx asdfghjkl asdfasdf zxcvbnm1
    abcd1234 abc12345 abcdefgh aa123456 a1b2c3d4 iloveyou iloveyou1 sunshine princess football
    baseball superman trustno1 whatever starwars computer michelle jennifer welcome1 welcome123
    letmein1 letmein123 changeme changeme1 changeme123 administrator admin123 admin1234 adminadmin
    rootroot root1234 test1234 testtest secret123 default1 holdfast holdfast1 holdfast123 backup123
    backupbackup
";

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Too few characters.
    #[error("the password must have at least {MIN_CHARS} characters")]
    TooShort,
    /// Too many characters.
    #[error("the password may have at most {MAX_CHARS} characters")]
    TooLong,
    /// It is among the first ones anybody tries.
    #[error("the password is one of the most common ones")]
    Common,
}

/// Hashing failed: out of memory, or a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

/// Rules for a new password; existing ones are never measured by them.
///
/// # Errors
/// The first rule it breaks.
pub fn check_new(password: &str) -> Result<(), PasswordProblem> {
    if password.chars().count() < MIN_CHARS {
        return Err(PasswordProblem::TooShort);
    }
    if password.chars().count() > MAX_CHARS {
        return Err(PasswordProblem::TooLong);
    }
    let lower = password.to_lowercase();
    let is_one_character = password.chars().all(|c| password.starts_with(c));
    if is_one_character || COMMON.split_ascii_whitespace().any(|common| common == lower) {
        Err(PasswordProblem::Common)
    } else {
        Ok(())
    }
}

/// `$argon2id$v=19$m=19456,t=2,p=1$…`, with a random salt.
///
/// # Errors
/// Out of memory.
pub fn hash(password: &str, rng: &mut impl CryptoRng) -> Result<String, HashError> {
    let mut salt = [0u8; 16];
    rng.fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|error| HashError(error.to_string()))?;
    let hash = hasher().hash_password(password.as_bytes(), &salt).map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that `stored` was made from. Every byte counts; a stored text that is no hash never
/// fits.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    // Longer ones cannot have been set, and must not be hashed.
    if password.len() > MAX_BYTES {
        return false;
    }
    PasswordHash::new(stored).is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Whether `stored` was made with weaker parameters than today's and should be made anew at the next log-in.
#[must_use]
pub fn needs_rehash(stored: &str) -> bool {
    !stored.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"))
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the constants are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn only_the_right_password_fits_to_its_last_byte() {
        let long = "x".repeat(199);
        let stored = hash(&format!("{long}a"), &mut StdRng::seed_from_u64(1)).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify(&format!("{long}a"), &stored));
        assert!(!verify(&format!("{long}b"), &stored));
        assert!(!verify(&stored, &stored), "the stored text is not a password");
        assert!(!needs_rehash(&stored));
    }

    #[test]
    fn an_unknown_account_costs_a_whole_hash_and_never_fits() {
        assert!(PasswordHash::new(NOBODYS_HASH).unwrap().hash.is_some());
        assert!(!needs_rehash(NOBODYS_HASH));
        assert!(!verify("", NOBODYS_HASH) && !verify("password", NOBODYS_HASH));
        assert!(!verify("x", "no hash at all"));
        assert!(needs_rehash("$argon2id$v=19$m=4096,t=1,p=1$c2FsdHNhbHQ$aGFzaA"));
    }

    #[test]
    fn new_passwords_are_measured_in_characters_and_bytes() {
        assert_eq!(check_new("short"), Err(PasswordProblem::TooShort));
        assert_eq!(check_new("Password123"), Err(PasswordProblem::Common));
        assert_eq!(check_new("aaaaaaaaaaaa"), Err(PasswordProblem::Common));
        assert_eq!(check_new(&"ab".repeat(129)), Err(PasswordProblem::TooLong));
        assert_eq!(check_new(&"\u{1f511}a".repeat(128)), Ok(()));
        assert_eq!(check_new("пароль-и-точка"), Ok(()));
        assert_eq!(check_new(&"long enough ".repeat(8)), Ok(()));
    }
}
