//! A private key that a team brings for a server. It is checked once, when it arrives, and kept in one form (OpenSSH
//! PEM without a passphrase), so that a run never finds out that it cannot be read.

use russh::keys::ssh_key::{HashAlg, LineEnding};
use russh::keys::{Algorithm, PrivateKey};
use secrecy::SecretString;

/// Larger than any key in use (RSA 16384 is about 13 KiB).
const MAX_BYTES: usize = 32 * 1024;
/// Below this RSA is refused by current servers.
const RSA_MIN_BITS: u32 = 2048;

/// Why the text is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// It needs a passphrase.
    #[error("the private key is protected by a passphrase; remove it on a copy with `ssh-keygen -p -N '' -f <copy>`")]
    Encrypted,
    /// PuTTY's own form.
    #[error("this is a PuTTY key; export it with PuTTYgen as an OpenSSH key")]
    Putty,
    /// It is a public key.
    #[error("this is a public key; the private one starts with `-----BEGIN`")]
    Public,
    /// Nothing of the kind.
    #[error("this is not a private key; it starts with `-----BEGIN OPENSSH PRIVATE KEY-----` and is taken whole")]
    NotAKey,
    /// A kind that cannot be used here.
    #[error("keys of the type {0} are not supported; use ed25519, ECDSA or RSA of at least 2048 bits")]
    Unsupported(String),
}

/// A key that can be used as it is.
#[derive(Clone)]
pub struct ImportedKey {
    /// OpenSSH PEM, without a passphrase.
    pub pem: SecretString,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub public_line: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// Reads OpenSSH, PKCS#8 and PKCS#1 PEM, with any line ends.
///
/// # Errors
/// See [`PrivateKeyError`]; each says what to do.
pub fn import(text: &str) -> Result<ImportedKey, PrivateKeyError> {
    let text = zeroize::Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n").trim().to_owned() + "\n");
    if text.len() > MAX_BYTES {
        return Err(PrivateKeyError::NotAKey);
    }
    if text.starts_with("PuTTY-User-Key-File") {
        return Err(PrivateKeyError::Putty);
    }
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.contains("PUBLIC KEY-----") {
        return Err(PrivateKeyError::Public);
    }
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(PrivateKeyError::Encrypted);
    }
    let key = match PrivateKey::from_openssh(text.as_str()) {
        Ok(key) => key,
        Err(_) => russh::keys::decode_secret_key(&text, None).map_err(|_| PrivateKeyError::NotAKey)?,
    };
    if key.is_encrypted() {
        return Err(PrivateKeyError::Encrypted);
    }
    check_algorithm(&key)?;
    let public = key.public_key();
    let mut bare = public.clone();
    bare.set_comment("");
    let public_line = bare.to_openssh().map_err(|_| PrivateKeyError::NotAKey)?;
    let pem = key.to_openssh(LineEnding::LF).map_err(|_| PrivateKeyError::NotAKey)?;
    Ok(ImportedKey {
        pem: SecretString::from(pem.as_str()),
        public_line: public_line.trim_end().to_owned(),
        fingerprint: public.fingerprint(HashAlg::Sha256).to_string(),
    })
}

fn check_algorithm(key: &PrivateKey) -> Result<(), PrivateKeyError> {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => Ok(()),
        Algorithm::Rsa { .. } => {
            let bits =
                key.public_key().key_data().rsa().map_or(0, russh::keys::ssh_key::public::RsaPublicKey::key_size);
            if bits < RSA_MIN_BITS { Err(PrivateKeyError::Unsupported(format!("RSA of {bits} bits"))) } else { Ok(()) }
        }
        other => Err(PrivateKeyError::Unsupported(other.as_str().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::process::Command;

    /// Asks the real `ssh-keygen` for a key.
    fn keygen(args: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-f"]).arg(&path).args(args).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn every_common_form_is_taken_and_kept_as_openssh() {
        for args in [
            &["-t", "ed25519", "-N", ""][..],
            &["-t", "ecdsa", "-N", ""],
            &["-t", "rsa", "-b", "2048", "-N", ""],
            &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""],
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", ""],
        ] {
            let text = keygen(args);
            let key = import(&text.replace('\n', "\r\n")).unwrap_or_else(|error| panic!("{args:?}: {error}"));
            assert!(key.pem.expose_secret().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{args:?}");
            assert!(key.fingerprint.starts_with("SHA256:"));
            let again = import(key.pem.expose_secret()).unwrap();
            assert_eq!(again.public_line, key.public_line);
            assert_eq!(key.public_line.split(' ').count(), 2);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        for args in [
            &["-t", "ed25519", "-N", "secret"][..],
            &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "secret"],
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "secret"],
        ] {
            assert_eq!(import(&keygen(args)).err(), Some(PrivateKeyError::Encrypted), "{args:?}");
        }
        assert!(matches!(
            import(&keygen(&["-t", "rsa", "-b", "1024", "-N", ""])),
            Err(PrivateKeyError::Unsupported(_))
        ));
        assert_eq!(import("ssh-ed25519 AAAAC3 me").err(), Some(PrivateKeyError::Public));
        assert_eq!(import("PuTTY-User-Key-File-3: ssh-ed25519").err(), Some(PrivateKeyError::Putty));
        let cut = keygen(&["-t", "ed25519", "-N", ""]);
        for text in ["", "hello", "\0", &cut[..cut.len() / 2], &"x".repeat(100_000)] {
            assert_eq!(import(text).err(), Some(PrivateKeyError::NotAKey));
        }
    }
}
