//! Host keys as text: `ssh-ed25519 AAAA…`, compared by the key alone, shown by their SHA-256 fingerprint.

use russh::keys::{HashAlg, PublicKey};

/// What a person compares: `ssh-ed25519` and `SHA256:…`, as `ssh-keygen -lf` prints them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyFingerprint {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` …
    pub key_type: String,
    /// `SHA256:` and unpadded base64.
    pub sha256: String,
}

/// The fingerprint of a public key line; none if it is no public key.
#[must_use]
pub fn fingerprint(openssh_line: &str) -> Option<HostKeyFingerprint> {
    let key = PublicKey::from_openssh(openssh_line.trim()).ok()?;
    Some(HostKeyFingerprint {
        key_type: key.algorithm().as_str().to_owned(),
        sha256: key.fingerprint(HashAlg::Sha256).to_string(),
    })
}

/// The canonical line of a public key, `type base64`, without its comment; none if it is no public key.
#[must_use]
pub fn public_line(openssh_line: &str) -> Option<String> {
    line_of(&PublicKey::from_openssh(openssh_line.trim()).ok()?)
}

/// `key` as a line without comment.
pub(crate) fn line_of(key: &PublicKey) -> Option<String> {
    let line = key.to_openssh().ok()?;
    let mut words = line.split_ascii_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    // `ssh-keygen -t ed25519`, and `ssh-keygen -lf` of it.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9lCpnRwkUjMY4Jaj2FPsp3OXAj8tRwGFXhYzp3Q1pS root@host";

    #[test]
    fn the_comment_is_no_part_of_a_key() {
        let line = public_line(LINE).unwrap();
        assert_eq!(line, LINE.strip_suffix(" root@host").unwrap());
        assert_eq!(fingerprint(&line), fingerprint(LINE));
        assert!(fingerprint(LINE).unwrap().sha256.starts_with("SHA256:"));
    }

    #[test]
    fn what_is_no_key_has_no_fingerprint() {
        for odd in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "$(touch x)", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJ9l"] {
            assert_eq!(fingerprint(odd), None, "{odd}");
        }
    }
}
