//! Size and SHA-256 of bytes in passing.

use holdfast_domain::manifest::Digest;
use sha2::{Digest as _, Sha256};

/// Counts and hashes what goes by.
#[derive(Clone, Default)]
pub struct Hasher {
    sha256: Sha256,
    size_bytes: u64,
}

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size_bytes += bytes.len() as u64;
    }

    /// Bytes so far.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Size and hash of everything that went by.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest { size_bytes: self.size_bytes, sha256: hex::encode(self.sha256.finalize()) }
    }
}

/// Size and hash of `bytes`.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        let digest = digest_of(b"abc");
        assert_eq!(digest.size_bytes, 3);
        assert_eq!(digest.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
