//! Reading stored objects by range.

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Bytes asked of a store at a time when reading forward.
const READ_BYTES: usize = 1 << 20;

/// A stored object that can be read from any place. What it delivers is proof of nothing: whoever reads compares
/// sizes, hashes and authentication codes.
#[async_trait]
pub trait ObjectReader: Send + Sync {
    /// Bytes in it, as the store says.
    fn size_bytes(&self) -> u64;

    /// Up to `len` bytes from `offset`; fewer, but not none, only where the store pleases; none only at the end.
    ///
    /// # Errors
    /// The store failed, or does not have the object any more.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure>;
}

/// Several objects read as one, in order: a stream that a store split.
pub struct Joined {
    parts: Vec<(u64, Arc<dyn ObjectReader>)>,
    size_bytes: u64,
}

impl Joined {
    /// One object after the other.
    #[must_use]
    pub fn new(objects: Vec<Arc<dyn ObjectReader>>) -> Self {
        let mut size_bytes = 0;
        let mut parts = Vec::with_capacity(objects.len());
        for object in objects {
            let start = size_bytes;
            size_bytes += object.size_bytes();
            parts.push((start, object));
        }
        Self { parts, size_bytes }
    }
}

#[async_trait]
impl ObjectReader for Joined {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure> {
        if offset >= self.size_bytes {
            return Ok(Bytes::new());
        }
        let at = self.parts.partition_point(|(start, _)| *start <= offset) - 1;
        let (start, object) = &self.parts[at];
        object.read_at(offset - start, len).await
    }
}

/// A blocking reader over an [`ObjectReader`], for age and zstd. Only for threads that may block.
pub(crate) struct RangeReader {
    object: Arc<dyn ObjectReader>,
    runtime: Handle,
    at: u64,
    ahead: Bytes,
}

impl RangeReader {
    pub(crate) fn new(object: Arc<dyn ObjectReader>, runtime: Handle) -> Self {
        Self { object, runtime, at: 0, ahead: Bytes::new() }
    }

    fn fill(&mut self) -> io::Result<()> {
        let left = self.object.size_bytes().saturating_sub(self.at);
        let want = usize::try_from(left.min(READ_BYTES as u64)).unwrap_or(READ_BYTES);
        if want == 0 {
            return Ok(());
        }
        let bytes = self.runtime.block_on(self.object.read_at(self.at, want)).map_err(carry)?;
        if bytes.is_empty() || bytes.len() > want {
            return Err(carry(Failure::new(
                Step::ReadCopy,
                FailureCode::CopyDamaged,
                "The store delivered another number of bytes than it has.",
            )));
        }
        self.ahead = bytes;
        Ok(())
    }
}

impl Read for RangeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            self.fill()?;
        }
        let n = self.ahead.len().min(buf.len());
        buf[..n].copy_from_slice(&self.ahead.split_to(n));
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for RangeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.object.size_bytes().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let target = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let within = target.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        match within {
            Some(skip) if skip <= self.ahead.len() => drop(self.ahead.split_to(skip)),
            _ => self.ahead = Bytes::new(),
        }
        self.at = target;
        Ok(target)
    }
}

/// A failure as an I/O error, so that it passes through age and zstd; [`carried`] gets it back.
pub(crate) fn carry(failure: Failure) -> io::Error {
    io::Error::other(failure)
}

/// The failure inside `error`, or the one that `otherwise` makes of it.
pub(crate) fn carried(error: io::Error, otherwise: impl FnOnce(&io::Error) -> Failure) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
        Some(failure) => failure.clone(),
        None => otherwise(&error),
    }
}

/// The copy is not what was stored.
pub(crate) fn damaged(detail: impl AsRef<str>) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, detail)
}
