//! The product's own database, which a worker's log-in may not read: its tenants' rows are shown to it one team at a time.
//! Whoever puts the worker together gives it, or does not give it, something that reads all of it. The bytes leave that
//! thing encrypted; nothing here may see them open.

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::Failure;
use tokio::sync::mpsc;

/// Copies the product's own database and key.
#[async_trait]
pub trait OwnDatabase: Send + Sync {
    /// Sends a copy of one moment, compressed and encrypted to `recipients` (age public keys), to `out`; returns after
    /// its last piece was taken. A copy that lacks its end is never followed by `Ok`.
    ///
    /// # Errors
    /// `OwnDatabaseClosed`, `OwnDatabaseFailed`; or `out` was closed.
    async fn copy(&self, recipients: &[String], out: mpsc::Sender<Bytes>) -> Result<(), Failure>;
}
