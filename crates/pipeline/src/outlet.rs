//! The end of the byte threads: gathers sealed bytes into chunks, counts and hashes them, hands them to async readers.

use crate::digest::Hasher;
use crate::reader::carry;
use bytes::{Bytes, BytesMut};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks waiting for the reader: 4 MiB.
const CHUNKS: usize = 16;

/// A blocking writer into a bounded channel.
pub(crate) struct Outlet {
    to: mpsc::Sender<Bytes>,
    chunk: BytesMut,
    hasher: Hasher,
}

impl Outlet {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Bytes>) {
        let (to, from) = mpsc::channel(CHUNKS);
        (Self { to, chunk: BytesMut::with_capacity(CHUNK_BYTES), hasher: Hasher::default() }, from)
    }

    /// Hands the last bytes on.
    pub(crate) fn finish(mut self) -> io::Result<Digest> {
        self.hand_on()?;
        Ok(self.hasher.finish())
    }

    fn hand_on(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK_BYTES)).freeze();
        self.hasher.update(&chunk);
        self.to.blocking_send(chunk).map_err(|_| {
            let detail = "No destination takes the bytes any more.";
            carry(Failure::new(Step::Stream, FailureCode::DestinationFailed, detail))
        })
    }
}

impl Write for Outlet {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = (CHUNK_BYTES - self.chunk.len()).min(buf.len());
        self.chunk.extend_from_slice(&buf[..n]);
        if self.chunk.len() == CHUNK_BYTES {
            self.hand_on()?;
        }
        Ok(n)
    }

    /// Chunks go when they are full, or at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
