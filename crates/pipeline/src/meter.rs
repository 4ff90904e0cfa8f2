//! How far a stream is: counters that the byte threads raise and a heartbeat reads. They only grow.

use holdfast_domain::failure::printable;
use holdfast_domain::progress::Progress;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Longest name shown of the entry being read.
const CURRENT_FILE_MAX_CHARS: usize = 300;

/// Counters of one stream.
#[derive(Default)]
pub struct Meter {
    original: AtomicU64,
    compressed: AtomicU64,
    stored: AtomicU64,
    nfiles: AtomicU64,
    current_file: Mutex<Option<String>>,
}

impl Meter {
    /// Plain bytes read.
    #[must_use]
    pub fn original(&self) -> u64 {
        self.original.load(Ordering::Relaxed)
    }

    /// Bytes after compression.
    #[must_use]
    pub fn compressed(&self) -> u64 {
        self.compressed.load(Ordering::Relaxed)
    }

    /// Bytes after encryption.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Entries seen.
    #[must_use]
    pub fn nfiles(&self) -> u64 {
        self.nfiles.load(Ordering::Relaxed)
    }

    /// The entry being read, printable.
    #[must_use]
    pub fn current_file(&self) -> Option<String> {
        self.current_file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters as a run shows them; speed, expectation and destinations are the caller's.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            original_size: self.original(),
            compressed_size: self.compressed(),
            stored_size: self.stored(),
            nfiles: self.nfiles(),
            current_file: self.current_file(),
            ..Progress::default()
        }
    }

    pub(crate) fn add_original(&self, bytes: usize) {
        self.original.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_compressed(&self, bytes: usize) {
        self.compressed.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_stored_at_least(&self, bytes: u64) {
        self.stored.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn entry(&self, path: &str) {
        self.nfiles.fetch_add(1, Ordering::Relaxed);
        let shown = printable(path, CURRENT_FILE_MAX_CHARS);
        *self.current_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
    }
}
