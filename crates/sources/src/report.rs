//! What a source says of itself when it ended well.

use holdfast_domain::warning::Warnings;
use std::collections::BTreeMap;

/// What a source says of itself when it ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// The source program's own exit status.
    pub exit_status: u32,
    /// What was not as it should be.
    pub warnings: Warnings,
    /// Tools there, `tar` → `tar (GNU tar) 1.34`.
    pub tools: BTreeMap<String, String>,
    /// Tables of a database, as its catalogue counted them when the dump began.
    pub tables: Option<u64>,
    /// Bytes read.
    pub size_bytes: u64,
}
