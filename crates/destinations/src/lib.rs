//! Where backups go: one file a kind of destination.
//!
//! A destination never lists, guesses or matches names: it writes, reads and deletes exactly what it is told. Nothing
//! half written is ever visible under a final name, and a store that is not there is offline, never empty.

pub mod local;
mod probe;
pub mod s3;

use async_trait::async_trait;
use holdfast_domain::check::CheckStep;
use holdfast_domain::manifest::ManifestObject;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{ObjectReader, Sink};
use std::sync::Arc;

pub use local::{LocalDestination, LocalRoot};
pub use s3::{Outside, Pace, S3Destination, S3Settings};

/// A place that keeps objects by name.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Starts an object; nobody sees it before its sink commits.
    ///
    /// # Errors
    /// `StoreOffline`, `DestinationFull`, `DestinationFailed`.
    async fn put(&self, name: &str) -> Result<Box<dyn Sink>, Failure>;

    /// Opens a recorded object.
    ///
    /// # Errors
    /// `CopyDamaged` if it is not there or has another size; `StoreOffline`, `DestinationFailed`.
    async fn open(&self, object: &ManifestObject) -> Result<Arc<dyn ObjectReader>, Failure>;

    /// Removes an object and what an unfinished attempt left of it; that it is absent is fine.
    ///
    /// # Errors
    /// `StoreOffline` (then nothing counts as deleted), `DestinationFailed`.
    async fn delete(&self, name: &str) -> Result<(), Failure>;

    /// Writes, reads back and deletes an object of this name. The steps end with the first that failed.
    async fn check(&self, probe_name: &str) -> Vec<CheckStep>;

    /// Room; none where the store cannot tell.
    ///
    /// # Errors
    /// `StoreOffline`, `DestinationFailed`.
    async fn usage(&self) -> Result<Option<Usage>, Failure>;
}

/// Room at a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes the file system has.
    pub total_bytes: u64,
    /// Bytes still free for us.
    pub available_bytes: u64,
}

/// The answer for a kind of destination that is stored and shown but takes no backups yet.
#[must_use]
pub fn unsupported(kind: &str) -> Failure {
    Failure::new(
        Step::Prepare,
        FailureCode::DestinationUnsupported,
        format!("Destinations of type {kind:?} do not take backups yet."),
    )
}
