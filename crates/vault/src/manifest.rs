//! The manifest's authentication: HMAC-SHA-256 under the team's `mac` key over the exact bytes of the manifest. What
//! was re-serialised, changed or signed for another team does not verify, and is then never parsed.

use hmac::{Hmac, Mac};
use holdfast_domain::manifest::{MANIFEST_VERSION, Manifest, SignedManifest};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use zeroize::Zeroizing;

const MAC_KEY_BYTES: usize = 32;

/// Why a manifest is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It was signed with another version of the team's key.
    #[error("the manifest was authenticated with key version {signed}, and version {given} was offered")]
    KeyVersion {
        /// In the manifest.
        signed: i32,
        /// Of the key at hand.
        given: i32,
    },
    /// The code does not belong to these bytes.
    #[error("the manifest's authentication code does not fit: it was changed, or belongs to another team")]
    Refused,
    /// Authenticated, and still nothing that this version can read.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(String),
}

/// The stored key does not have 32 bytes.
#[derive(Debug, thiserror::Error)]
#[error("the team's manifest key is damaged")]
pub struct InvalidMacKey;

/// A team's manifest key.
pub struct MacKey {
    version: i32,
    bytes: Zeroizing<[u8; MAC_KEY_BYTES]>,
}

impl MacKey {
    /// Takes what was opened from `team_keys` (purpose `mac`).
    ///
    /// # Errors
    /// It does not have 32 bytes.
    pub fn new(version: i32, opened: &SecretSlice<u8>) -> Result<Self, InvalidMacKey> {
        let mut bytes = Zeroizing::new([0u8; MAC_KEY_BYTES]);
        if opened.expose_secret().len() != MAC_KEY_BYTES {
            return Err(InvalidMacKey);
        }
        bytes.copy_from_slice(opened.expose_secret());
        Ok(Self { version, bytes })
    }

    /// `team_keys.version`.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.version
    }

    fn over(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes a key of any length");
        mac.update(b"holdfast manifest 1\n");
        mac.update(text.as_bytes());
        mac
    }
}

/// Authenticates `manifest`; what comes back is what is stored, byte for byte.
///
/// # Errors
/// It cannot be written as JSON.
pub fn sign(key: &MacKey, manifest: &Manifest) -> Result<SignedManifest, ManifestError> {
    let text = serde_json::to_string(manifest).map_err(|error| ManifestError::Unreadable(error.to_string()))?;
    let code = hex::encode(key.over(&text).finalize().into_bytes());
    Ok(SignedManifest { manifest: text, key_version: key.version, hmac_sha256: code })
}

/// Checks the code in constant time, then reads the manifest.
///
/// # Errors
/// See [`ManifestError`]; nothing of the manifest is interpreted before its code fits.
pub fn verify(key: &MacKey, signed: &SignedManifest) -> Result<Manifest, ManifestError> {
    if signed.key_version != key.version {
        return Err(ManifestError::KeyVersion { signed: signed.key_version, given: key.version });
    }
    let code = hex::decode(&signed.hmac_sha256).map_err(|_| ManifestError::Refused)?;
    key.over(&signed.manifest).verify_slice(&code).map_err(|_| ManifestError::Refused)?;
    let manifest: Manifest =
        serde_json::from_str(&signed.manifest).map_err(|error| ManifestError::Unreadable(error.to_string()))?;
    if manifest.version != MANIFEST_VERSION {
        return Err(ManifestError::Unreadable(format!("its version is {}", manifest.version)));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::source::{EncryptionMode, FilesSpec, SourceSpec};

    fn manifest() -> Manifest {
        let files =
            FilesSpec { paths: vec!["/var/www".into()], excludes: vec![], one_file_system: true, sparse: false };
        Manifest {
            version: MANIFEST_VERSION,
            team_uuid: uuid::Uuid::from_u128(1),
            backup_task_id: 7,
            task_label: "Büro \"nightly\"".into(),
            backup_run_id: 9,
            run_ulid: "01HXYZ".into(),
            epoch: 1,
            started_at: chrono::DateTime::UNIX_EPOCH,
            finished_at: chrono::DateTime::UNIX_EPOCH,
            origin: "root@web:22".into(),
            source: SourceSpec::Files(files),
            encryption: EncryptionMode::Managed,
            recipients: vec![],
            tools: Default::default(),
            streams: vec![],
            warnings: Default::default(),
            holdfast: "0.1.0".into(),
        }
    }

    fn key(version: i32, byte: u8) -> MacKey {
        MacKey::new(version, &SecretSlice::from(vec![byte; 32])).unwrap()
    }

    #[test]
    fn what_was_signed_verifies_and_is_the_same() {
        let signed = sign(&key(1, 5), &manifest()).unwrap();
        assert_eq!(verify(&key(1, 5), &signed).unwrap(), manifest());
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let signed = sign(&key(1, 5), &manifest()).unwrap();
        for at in 0..signed.manifest.len() {
            let mut bytes = signed.manifest.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let changed = SignedManifest { manifest: text, ..signed.clone() };
            assert!(matches!(verify(&key(1, 5), &changed), Err(ManifestError::Refused)), "byte {at}");
        }
    }

    #[test]
    fn another_team_another_version_and_a_cut_code_are_refused() {
        let signed = sign(&key(1, 5), &manifest()).unwrap();
        assert!(matches!(verify(&key(1, 6), &signed), Err(ManifestError::Refused)));
        assert!(matches!(verify(&key(2, 5), &signed), Err(ManifestError::KeyVersion { signed: 1, given: 2 })));
        for code in ["", "zz", &signed.hmac_sha256[..32]] {
            let cut = SignedManifest { hmac_sha256: code.to_owned(), ..signed.clone() };
            assert!(matches!(verify(&key(1, 5), &cut), Err(ManifestError::Refused)));
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert!(MacKey::new(1, &SecretSlice::from(vec![1; 31])).is_err());
    }
}
