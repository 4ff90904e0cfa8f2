//! `destinations`: where backups may go.

use crate::reader::Reader;
use std::path::PathBuf;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationsConfig {
    /// Root of destinations of type `local` on this worker; none = this worker serves no such destination.
    pub local_root: Option<PathBuf>,
}

impl DestinationsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { local_root: reader.optional("destinations.local_root")? })
    }
}
