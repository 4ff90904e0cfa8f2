//! The keys every team gets when it is made: one to log in to its servers, one to encrypt its backups, one to
//! authenticate its manifests. One pair per team, never one per installation: with a shared key any team could log in
//! to any other's servers. Private halves leave this module sealed only.

use crate::manifest::MacKey;
use crate::seal::{OpenError, Opener, SealContext, SealedColumn, Sealer};
use age::secrecy::ExposeSecret as _;
use bech32::{ToBase32, Variant};
use holdfast_domain::ids::TeamId;
use rand::CryptoRng;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The version that a new team's keys have.
pub const FIRST_VERSION: i32 = 1;

/// What a team's key is for: `team_keys.purpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TeamKeyPurpose {
    /// Logging in to servers.
    Ssh,
    /// Encrypting backups in managed mode.
    Age,
    /// Authenticating manifests.
    Mac,
}

impl TeamKeyPurpose {
    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Age => "age",
            Self::Mac => "mac",
        }
    }
}

/// A row of `team_keys` to be.
#[derive(Clone, Debug)]
pub struct NewTeamKey {
    /// What it is for.
    pub purpose: TeamKeyPurpose,
    /// [`FIRST_VERSION`].
    pub version: i32,
    /// ssh: the OpenSSH line; age: the `age1…` recipient; mac: empty.
    pub public: String,
    /// Binds the sealed half to its row.
    pub seal_id: Uuid,
    /// ssh: OpenSSH PEM; age: `AGE-SECRET-KEY-1…`; mac: 32 bytes.
    pub sealed: Vec<u8>,
}

/// A sealed half of a team's key as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredTeamKey<'a> {
    /// The team.
    pub team_id: TeamId,
    /// `team_keys.version`.
    pub version: i32,
    /// `team_keys.seal_id`.
    pub seal_id: Uuid,
    /// `team_keys.sealed`.
    pub sealed: &'a [u8],
}

impl StoredTeamKey<'_> {
    fn place(&self) -> SealContext {
        SealContext::new(self.team_id, SealedColumn::TeamKey, self.seal_id)
    }

    /// The private half of an `ssh` key (OpenSSH PEM) or of an `age` key (`AGE-SECRET-KEY-1…`).
    ///
    /// # Errors
    /// It does not open; see [`OpenError`].
    pub fn open_text(&self, opener: &Opener) -> Result<SecretString, OpenError> {
        opener.open_text(&self.place(), self.sealed)
    }

    /// The key of purpose `mac`.
    ///
    /// # Errors
    /// It does not open, or does not have 32 bytes (told as [`OpenError::Refused`]).
    pub fn open_mac(&self, opener: &Opener) -> Result<MacKey, OpenError> {
        MacKey::new(self.version, &opener.open(&self.place(), self.sealed)?).map_err(|_| OpenError::Refused)
    }
}

/// Makes the keys of a new team.
#[must_use]
pub fn generate(rng: &mut impl CryptoRng, sealer: &Sealer, team_id: TeamId) -> Vec<NewTeamKey> {
    let seal = |purpose, public, private: &[u8], rng: &mut _| {
        let seal_id = random_uuid(rng);
        let place = SealContext::new(team_id, SealedColumn::TeamKey, seal_id);
        let sealed = sealer.seal(&place, private, rng);
        NewTeamKey { purpose, version: FIRST_VERSION, public, seal_id, sealed }
    };
    let (ssh_public, ssh_private) = ssh_pair(rng, &format!("holdfast-team-{team_id}"));
    let ssh = seal(TeamKeyPurpose::Ssh, ssh_public, ssh_private.as_bytes(), rng);
    let (age_public, age_private) = age_pair(rng);
    let age = seal(TeamKeyPurpose::Age, age_public, age_private.as_bytes(), rng);
    let mut mac = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(mac.as_mut_slice());
    let mac = seal(TeamKeyPurpose::Mac, String::new(), mac.as_slice(), rng);
    vec![ssh, age, mac]
}

/// A version 4 UUID from `rng`: for `seal_id` and `teams.uuid`.
#[must_use]
pub fn random_uuid(rng: &mut impl CryptoRng) -> Uuid {
    let mut bytes = [0u8; 16];
    rng.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn ssh_pair(rng: &mut impl CryptoRng, comment: &str) -> (String, Zeroizing<String>) {
    let mut seed = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, comment).expect("an ed25519 pair with a plain comment is encodable");
    let public = key.public_key().to_openssh().expect("a plain comment is encodable");
    let private = key.to_openssh(LineEnding::LF).expect("an unencrypted ed25519 key is encodable");
    (public, private)
}

fn age_pair(rng: &mut impl CryptoRng) -> (String, Zeroizing<String>) {
    let mut scalar = Zeroizing::new([0u8; 32]);
    rng.fill_bytes(scalar.as_mut_slice());
    let text = bech32::encode("age-secret-key-", scalar.to_base32(), Variant::Bech32).expect("the prefix is valid");
    let text = Zeroizing::new(text);
    let identity: age::x25519::Identity = text.parse().expect("any 32 bytes are an X25519 secret");
    let public = identity.to_public().to_string();
    (public, Zeroizing::new(identity.to_string().expose_secret().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kek::Kek;
    use rand::{SeedableRng, rngs::StdRng};

    fn parts() -> (Opener, Vec<NewTeamKey>) {
        let mut rng = StdRng::seed_from_u64(3);
        let opener = Opener::from_kek(&Kek::generate(&mut rng));
        let sealer = Sealer::from_public_key(opener.public_key()).unwrap();
        let keys = generate(&mut rng, &sealer, TeamId(5));
        (opener, keys)
    }

    fn stored(key: &NewTeamKey, team: i64) -> StoredTeamKey<'_> {
        StoredTeamKey { team_id: TeamId(team), version: key.version, seal_id: key.seal_id, sealed: &key.sealed }
    }

    #[test]
    fn the_private_halves_belong_to_the_public_ones() {
        let (opener, keys) = parts();
        let [ssh, age, mac] = &keys[..] else { panic!("three keys") };
        let private = stored(ssh, 5).open_text(&opener).unwrap();
        let private = PrivateKey::from_openssh(private.expose_secret()).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), ssh.public);
        assert!(ssh.public.starts_with("ssh-ed25519 ") && ssh.public.ends_with(" holdfast-team-5"));
        let identity = stored(age, 5).open_text(&opener).unwrap();
        assert!(identity.expose_secret().starts_with("AGE-SECRET-KEY-1"));
        let identity: age::x25519::Identity = identity.expose_secret().parse().unwrap();
        assert_eq!(identity.to_public().to_string(), age.public);
        assert_eq!(stored(mac, 5).open_mac(&opener).unwrap().version(), FIRST_VERSION);
        assert_eq!(mac.public, "");
    }

    #[test]
    fn another_teams_row_does_not_open() {
        let (opener, keys) = parts();
        for key in &keys {
            assert_eq!(stored(key, 6).open_text(&opener).err(), Some(OpenError::Refused));
        }
    }

    #[test]
    fn no_two_teams_share_a_key_and_no_two_keys_a_seal() {
        let mut rng = StdRng::seed_from_u64(4);
        let opener = Opener::from_kek(&Kek::generate(&mut rng));
        let sealer = Sealer::from_public_key(opener.public_key()).unwrap();
        let (one, two) = (generate(&mut rng, &sealer, TeamId(1)), generate(&mut rng, &sealer, TeamId(2)));
        assert_ne!(one[0].public, two[0].public);
        assert_ne!(one[1].public, two[1].public);
        let seals: std::collections::HashSet<_> = one.iter().chain(&two).map(|k| k.seal_id).collect();
        assert_eq!(seals.len(), 6);
    }
}
