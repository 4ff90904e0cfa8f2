//! `vault`: the key that opens the teams' secrets. Workers need it; the api must not have it.

use crate::reader::Reader;
use std::path::PathBuf;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct VaultConfig {
    /// The key-encryption key's file, mode 0600 or 0400.
    pub kek_file: Option<PathBuf>,
}

impl VaultConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { kek_file: reader.optional("vault.kek_file")? })
    }
}
