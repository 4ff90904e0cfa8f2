//! What a destination looks like to the byte path.

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::manifest::ManifestObject;

/// One object being written. Nothing of it is visible at the destination before [`Sink::commit`] returns, and nothing
/// is left there after [`Sink::abort`].
#[async_trait]
pub trait Sink: Send {
    /// Takes the next bytes; returns when they are accepted (back-pressure).
    ///
    /// # Errors
    /// The destination failed; the caller then aborts.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure>;

    /// The bytes are at their end: makes them durable, still without a name. What follows, reading back and naming, is
    /// verification; so the time until here is the transfer's. A destination that is durable only at its commit has
    /// nothing to do.
    ///
    /// # Errors
    /// The destination failed; the caller then aborts.
    async fn settle(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes the object durable and visible under its name, and checks that the destination holds as many bytes as
    /// were written with the same SHA-256.
    ///
    /// # Errors
    /// The destination failed, or what it holds differs.
    async fn commit(self: Box<Self>) -> Result<ManifestObject, Failure>;

    /// Removes what was written so far.
    async fn abort(self: Box<Self>);
}

/// Where a stream goes on at one destination when an object is full.
#[async_trait]
pub trait NextObject: Send + Sync {
    /// Opens the stream's object number `part`; the first one is 0.
    ///
    /// # Errors
    /// The destination failed.
    async fn open(&self, part: usize) -> Result<Box<dyn Sink>, Failure>;
}
