//! `destinations`: where backups may go.

use crate::reader::Reader;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// From something that tests can fill to what S3's 10,000 parts of 8 MiB can take.
const OBJECT_LIMIT_BYTES: RangeInclusive<u64> = 1 << 20..=64 << 30;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationsConfig {
    /// Root of destinations of type `local` on this worker; none = this worker serves no such destination.
    pub local_root: Option<PathBuf>,
    /// A stream larger than this goes on in a next object.
    pub object_limit_bytes: u64,
}

impl DestinationsConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let local_root = reader.optional("destinations.local_root");
        let object_limit_bytes = reader.within("destinations.object_limit_bytes", OBJECT_LIMIT_BYTES);
        Some(Self { local_root: local_root?, object_limit_bytes: object_limit_bytes? })
    }
}
