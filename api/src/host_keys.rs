//! Host keys as the API shows and takes them. The api never connects to a server: it only compares what a worker saw
//! with what a person confirms.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Longest key in bytes (RSA 16384 is about 2 KiB).
const MAX_BYTES: usize = 8 * 1024;

/// A host key for a person to compare with the server's own `ssh-keygen -lf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostKeyView {
    /// `ssh-ed25519` …
    #[serde(rename = "type")]
    pub key_type: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// A key without comment and options, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519 AAAA…`
    pub line: String,
    /// Type and fingerprint.
    pub view: HostKeyView,
}

/// Reads `type base64 [comment]`; none where type and key do not belong together.
#[must_use]
pub fn parse(text: &str) -> Option<HostKey> {
    let mut words = text.split_ascii_whitespace();
    let (key_type, encoded) = (words.next()?, words.next()?);
    if encoded.len() > MAX_BYTES || !is_known(key_type) {
        return None;
    }
    let blob = STANDARD.decode(encoded).ok()?;
    // The blob repeats its type: 4 bytes of length, then the name.
    let length = usize::try_from(u32::from_be_bytes(blob.get(..4)?.try_into().ok()?)).ok()?;
    let inner = blob.get(4..)?.get(..length)?;
    if inner != key_type.as_bytes() || blob.len() <= 4 + length {
        return None;
    }
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob)));
    let view = HostKeyView { key_type: key_type.to_owned(), fingerprint };
    Some(HostKey { line: format!("{key_type} {encoded}"), view })
}

fn is_known(key_type: &str) -> bool {
    matches!(
        key_type,
        "ssh-ed25519"
            | "ssh-rsa"
            | "ecdsa-sha2-nistp256"
            | "ecdsa-sha2-nistp384"
            | "ecdsa-sha2-nistp521"
            | "sk-ssh-ed25519@openssh.com"
            | "sk-ecdsa-sha2-nistp256@openssh.com"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // `ssh-keygen -t ed25519`, and what `ssh-keygen -lf` says of it.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github.com";

    #[test]
    fn the_fingerprint_is_the_one_that_openssh_shows() {
        let key = parse(LINE).unwrap();
        assert_eq!(key.view.fingerprint, "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU");
        assert!(!key.line.contains("github.com"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
            "nonsense AAAAC3Nz",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
