//! Sealing: anybody with the workers' public key can close an envelope, only a worker can open it, and only in the
//! place it was closed for. Moved to another row, column, table or team it stays shut, so a writer of the database
//! cannot make a worker send one tenant's secret to another's server.
//!
//! Form: `1 | key version (4 bytes) | encapsulated key (32) | ciphertext and tag`. HPKE (RFC 9180) base mode with
//! X25519, HKDF-SHA-256 and ChaCha20-Poly1305.

use crate::kek::Kek;
use holdfast_domain::ids::TeamId;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::{CryptoRng, SeedableRng};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use uuid::Uuid;

/// Version of the workers' key pair: `vault_keys.version`.
pub const KEY_VERSION: i32 = 1;

const FORMAT: u8 = 1;
const INFO: &[u8] = b"holdfast seal 1";
const ENCAPPED_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + 4 + ENCAPPED_BYTES;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// Why an envelope stays shut. None of them says anything about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short to be an envelope.
    #[error("the sealed value is cut short")]
    Truncated,
    /// The first byte names no form that we know.
    #[error("the sealed value has an unknown form ({0})")]
    UnknownFormat(u8),
    /// It was sealed to a key that this worker does not hold.
    #[error("the sealed value belongs to key version {0}, which this worker does not hold")]
    UnknownKeyVersion(u32),
    /// Another key, another place, or other bytes than those that were written.
    #[error("the sealed value does not open here: another key file, another row, or changed bytes")]
    Refused,
    /// It opened, and holds no text where text was expected.
    #[error("the sealed value is not text")]
    NotText,
}

/// The key of the workers is no usable X25519 point.
#[derive(Debug, thiserror::Error)]
#[error("the workers' public key is not usable")]
pub struct InvalidPublicKey;

macro_rules! sealed_columns {
    ($($(#[$doc:meta])* $name:ident = $table:literal . $column:literal),+ $(,)?) => {
        /// Every sealed column of the schema: the one list that who seals and who opens share.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SealedColumn {
            $($(#[$doc])* $name),+
        }

        impl SealedColumn {
            /// All of them.
            pub const ALL: &'static [SealedColumn] = &[$(SealedColumn::$name),+];

            /// Table and column.
            #[must_use]
            pub const fn place(self) -> (&'static str, &'static str) {
                match self { $(SealedColumn::$name => ($table, $column)),+ }
            }
        }
    };
}

sealed_columns! {
    /// A team's private key of any purpose.
    TeamKey = "team_keys"."sealed",
    /// Log-in password of a server.
    ServerPassword = "remote_servers"."sealed_password",
    /// Imported private key of a server.
    ServerPrivateKey = "remote_servers"."sealed_private_key",
    /// Database password of a server.
    ServerDatabasePassword = "remote_servers"."sealed_database_password",
    /// Access key of an object store.
    DestinationAccessKey = "backup_destinations"."sealed_access_key",
    /// Secret key of an object store.
    DestinationSecretKey = "backup_destinations"."sealed_secret_key",
    /// Encryption password of a task.
    TaskEncryptionPassword = "backup_tasks"."sealed_encryption_password",
    /// Password of a task's own log-in.
    TaskIsolatedPassword = "backup_tasks"."sealed_isolated_password",
    /// Password of a task's database.
    TaskSourcePassword = "backup_tasks"."sealed_source_password",
    /// Where a task's dead man's switch is.
    TaskPingUrl = "backup_tasks"."sealed_ping_url",
    /// Encryption password that came with a restore.
    RestorePassword = "restores"."sealed_password",
    /// Password of the database that a restore goes to.
    RestoreDatabasePassword = "restores"."sealed_database_password",
    /// A person's two-factor secret. Sealed to the log-in key, not to the workers'.
    TwoFactorSecret = "two_factors"."sealed_secret",
    /// What a mail about an account says.
    AccountMailPayload = "account_mails"."sealed_payload",
    /// Address, URL or token of a notification stream.
    StreamValue = "notification_streams"."sealed_value",
    /// Second secret of a notification stream.
    StreamSecondValue = "notification_streams"."sealed_second_value",
    /// What a script is given by its name.
    ScriptSecretValue = "script_secrets"."sealed_value",
}

/// The place a secret is sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealContext {
    /// The tenant.
    pub team_id: TeamId,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's `seal_id`: random, never used for another row.
    pub seal_id: Uuid,
}

impl SealContext {
    /// The place of `column` in the row with `seal_id`.
    #[must_use]
    pub const fn new(team_id: TeamId, column: SealedColumn, seal_id: Uuid) -> Self {
        let (table, column) = column.place();
        Self { team_id, table, column, seal_id }
    }

    /// Each part with its length in front: without it (`a`, `bc`) and (`ab`, `c`) would be one place.
    fn associated_data(&self, key_version: u32) -> Vec<u8> {
        let team = self.team_id.0.to_be_bytes();
        let version = key_version.to_be_bytes();
        let parts: [&[u8]; 5] =
            [&version, &team, self.table.as_bytes(), self.column.as_bytes(), self.seal_id.as_bytes()];
        let mut data = Vec::with_capacity(96);
        for part in parts {
            data.extend_from_slice(&u32::try_from(part.len()).expect("names of tables are short").to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// Closes envelopes. Made from the public key alone; cannot open anything.
#[derive(Clone)]
pub struct Sealer {
    public_key: PublicKey,
    key_version: u32,
}

impl Sealer {
    /// Takes the bytes of `vault_keys.public_key`.
    ///
    /// # Errors
    /// They are no X25519 public key, or a point with which every secret would be the same.
    pub fn from_public_key(bytes: &[u8]) -> Result<Self, InvalidPublicKey> {
        let public_key = PublicKey::from_bytes(bytes).map_err(|_| InvalidPublicKey)?;
        // A point of low order gives the same result with every private key, so one try with a fixed one tells.
        let mut fixed = rand::rngs::StdRng::from_seed([1; 32]);
        X25519HkdfSha256::encap(&public_key, None, &mut fixed).map_err(|_| InvalidPublicKey)?;
        Ok(Self { public_key, key_version: KEY_VERSION.unsigned_abs() })
    }

    /// Seals `plain` for `place`.
    #[must_use]
    pub fn seal(&self, place: &SealContext, plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let (encapped, ciphertext) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256, _>(
            &OpModeS::Base,
            &self.public_key,
            INFO,
            plain,
            &place.associated_data(self.key_version),
            rng,
        )
        .expect("the key was tried when this was made, and one message cannot use up a counter");
        let mut sealed = Vec::with_capacity(HEAD_BYTES + ciphertext.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.key_version.to_be_bytes());
        sealed.extend_from_slice(&encapped.to_bytes());
        sealed.extend_from_slice(&ciphertext);
        sealed
    }
}

/// Opens envelopes: the private half, which only a process with the key file has.
pub struct Opener {
    private_key: PrivateKey,
    public_key: Vec<u8>,
    key_version: u32,
}

impl Opener {
    /// Derives the workers' key pair from the key file: every worker comes to the same one.
    #[must_use]
    pub fn from_kek(kek: &Kek) -> Self {
        Self::from_material(&kek.derive("holdfast seal key pair, version 1"))
    }

    /// The key pair of `material`, which must be used for nothing else.
    pub(crate) fn from_material(material: &[u8; 32]) -> Self {
        let (private_key, public_key) = X25519HkdfSha256::derive_keypair(material.as_slice());
        Self { private_key, public_key: public_key.to_bytes().to_vec(), key_version: KEY_VERSION.unsigned_abs() }
    }

    /// What `vault_keys.public_key` must be; a worker whose key differs holds the wrong file and must not start.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self, place: &SealContext, sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        let format = *sealed.first().ok_or(OpenError::Truncated)?;
        if format != FORMAT {
            return Err(OpenError::UnknownFormat(format));
        }
        if sealed.len() < HEAD_BYTES + TAG_BYTES {
            return Err(OpenError::Truncated);
        }
        let (head, ciphertext) = sealed.split_at(HEAD_BYTES);
        let version = head[1..5].iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
        if version != self.key_version {
            return Err(OpenError::UnknownKeyVersion(version));
        }
        let encapped =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&head[5..]).map_err(|_| OpenError::Refused)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private_key,
            &encapped,
            INFO,
            ciphertext,
            &place.associated_data(version),
        )
        .map(SecretSlice::from)
        .map_err(|_| OpenError::Refused)
    }

    /// Opens what was sealed for `place` and is text.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_text(&self, place: &SealContext, sealed: &[u8]) -> Result<SecretString, OpenError> {
        let opened = self.open(place, sealed)?;
        let text = std::str::from_utf8(opened.expose_secret()).map_err(|_| OpenError::NotText)?;
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::rngs::StdRng;

    fn parts() -> (Sealer, Opener, StdRng) {
        let mut rng = StdRng::seed_from_u64(1);
        let opener = Opener::from_kek(&Kek::generate(&mut rng));
        (Sealer::from_public_key(opener.public_key()).unwrap(), opener, rng)
    }

    fn place(team: i64, column: SealedColumn, seal_id: u128) -> SealContext {
        SealContext::new(TeamId(team), column, Uuid::from_u128(seal_id))
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place_and_in_no_other(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            team in any::<i64>(), seal_id in any::<u128>(), seed in any::<u64>(),
        ) {
            let (sealer, opener, _) = parts();
            let here = place(team, SealedColumn::ServerPassword, seal_id);
            let sealed = sealer.seal(&here, &plain, &mut StdRng::seed_from_u64(seed));
            let opened = opener.open(&here, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), &plain[..]);
            for elsewhere in [
                place(team.wrapping_add(1), SealedColumn::ServerPassword, seal_id),
                place(team, SealedColumn::ServerPrivateKey, seal_id),
                place(team, SealedColumn::RestorePassword, seal_id),
                place(team, SealedColumn::ServerPassword, seal_id ^ 1),
            ] {
                prop_assert_eq!(opener.open(&elsewhere, &sealed).err(), Some(OpenError::Refused));
            }
        }

        #[test]
        fn no_changed_bit_and_no_cut_goes_unnoticed(
            plain in proptest::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let (sealer, opener, mut rng) = parts();
            let here = place(1, SealedColumn::TeamKey, 2);
            let sealed = sealer.seal(&here, &plain, &mut rng);
            let mut changed = sealed.clone();
            let at = at.index(sealed.len());
            changed[at] ^= 1 << bit;
            // The encapsulated key's top bit too, which X25519 itself ignores: the key schedule takes all its bytes.
            prop_assert!(opener.open(&here, &changed).is_err(), "byte {at}, bit {bit}");
            prop_assert!(opener.open(&here, &sealed[..at]).is_err());
            let mut longer = sealed;
            longer.push(0);
            prop_assert!(opener.open(&here, &longer).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_open_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (_, opener, _) = parts();
            prop_assert!(opener.open(&place(1, SealedColumn::TeamKey, 2), &bytes).is_err());
        }
    }

    #[test]
    fn the_errors_tell_what_is_wrong() {
        let (sealer, opener, mut rng) = parts();
        let here = place(1, SealedColumn::TeamKey, 2);
        let sealed = sealer.seal(&here, b"\xff\xfe", &mut rng);
        assert_eq!(opener.open(&here, &[]).err(), Some(OpenError::Truncated));
        assert_eq!(opener.open(&here, &sealed[..40]).err(), Some(OpenError::Truncated));
        assert_eq!(opener.open_text(&here, &sealed).err(), Some(OpenError::NotText));
        let mut other = sealed.clone();
        other[0] = 9;
        assert_eq!(opener.open(&here, &other).err(), Some(OpenError::UnknownFormat(9)));
        other[0] = FORMAT;
        other[4] = 7;
        assert_eq!(opener.open(&here, &other).err(), Some(OpenError::UnknownKeyVersion(7)));
        let stranger = Opener::from_kek(&Kek::generate(&mut rng));
        assert_eq!(stranger.open(&here, &sealed).err(), Some(OpenError::Refused));
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let (sealer, _, mut rng) = parts();
        let here = place(1, SealedColumn::TeamKey, 2);
        assert_ne!(sealer.seal(&here, b"same", &mut rng), sealer.seal(&here, b"same", &mut rng));
    }

    #[test]
    fn unusable_public_keys_are_refused() {
        assert!(Sealer::from_public_key(&[0; 32]).is_err(), "a point of low order");
        assert!(Sealer::from_public_key(&[9; 31]).is_err());
    }

    #[test]
    fn no_two_columns_are_one_place() {
        let places: std::collections::HashSet<_> = SealedColumn::ALL.iter().map(|c| c.place()).collect();
        assert_eq!(places.len(), SealedColumn::ALL.len());
    }
}
