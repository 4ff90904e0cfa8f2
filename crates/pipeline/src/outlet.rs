//! The end of the byte threads: gathers sealed bytes into chunks, counts and hashes them, hands them to async readers.
//! It knows where a stream goes on in a next object, so that each object has a hash of its own: whoever writes the
//! objects cuts at the same bytes.

use crate::digest::Hasher;
use crate::reader::carry;
use bytes::{Bytes, BytesMut};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks waiting for the reader: 1 MiB.
const CHUNKS: usize = 4;

/// A blocking writer into a bounded channel.
pub(crate) struct Outlet {
    to: mpsc::Sender<Bytes>,
    chunk: BytesMut,
    whole: Hasher,
    cuts: Cuts,
}

/// What was handed over.
pub(crate) struct Outcome {
    /// All of it.
    pub(crate) whole: Digest,
    /// Each object of it, in order; at least one.
    pub(crate) objects: Vec<Digest>,
}

/// Where the stream goes on in a next object.
struct Cuts {
    limit_bytes: u64,
    /// Bytes of the object so far, those in the chunk among them.
    object_bytes: u64,
    /// The first object needs no hasher of its own: until it is full the whole's is the same.
    hasher: Option<Hasher>,
    done: Vec<Digest>,
}

impl Outlet {
    /// An outlet whose bytes go on in a next object after each `object_limit_bytes`.
    pub(crate) fn channel(object_limit_bytes: u64) -> (Self, mpsc::Receiver<Bytes>) {
        let (to, from) = mpsc::channel(CHUNKS);
        let cuts = Cuts { limit_bytes: object_limit_bytes.max(1), object_bytes: 0, hasher: None, done: Vec::new() };
        (Self { to, chunk: BytesMut::with_capacity(CHUNK_BYTES), whole: Hasher::default(), cuts }, from)
    }

    /// Hands the last bytes on.
    pub(crate) fn finish(mut self) -> io::Result<Outcome> {
        self.hand_on()?;
        let whole = self.whole.finish();
        let mut objects = self.cuts.done;
        objects.push(self.cuts.hasher.map_or_else(|| whole.clone(), Hasher::finish));
        Ok(Outcome { whole, objects })
    }

    fn hand_on(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK_BYTES)).freeze();
        self.whole.update(&chunk);
        if let Some(hasher) = &mut self.cuts.hasher {
            hasher.update(&chunk);
        }
        self.to.blocking_send(chunk).map_err(|_| {
            let detail = "No destination takes the bytes any more.";
            carry(Failure::new(Step::Stream, FailureCode::DestinationFailed, detail))
        })
    }

    /// The object is full and more comes.
    fn next_object(&mut self) -> io::Result<()> {
        self.hand_on()?;
        let full = self.cuts.hasher.take().unwrap_or_else(|| self.whole.clone());
        self.cuts.done.push(full.finish());
        self.cuts.hasher = Some(Hasher::default());
        self.cuts.object_bytes = 0;
        Ok(())
    }
}

impl Write for Outlet {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !buf.is_empty() && self.cuts.object_bytes == self.cuts.limit_bytes {
            self.next_object()?;
        }
        let room = usize::try_from(self.cuts.limit_bytes - self.cuts.object_bytes).unwrap_or(usize::MAX);
        let n = (CHUNK_BYTES - self.chunk.len()).min(buf.len()).min(room);
        self.chunk.extend_from_slice(&buf[..n]);
        self.cuts.object_bytes += n as u64;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest_of;

    /// What comes of `bytes` with that limit.
    fn objects_of(bytes: &[u8], limit_bytes: u64) -> Outcome {
        let (mut outlet, mut from) = Outlet::channel(limit_bytes);
        let taken = std::thread::spawn(move || std::iter::from_fn(|| from.blocking_recv()).flatten().count());
        outlet.write_all(bytes).expect("somebody takes them");
        let outcome = outlet.finish().expect("somebody takes them");
        assert_eq!(taken.join().expect("no panic"), bytes.len());
        outcome
    }

    #[test]
    fn each_object_has_the_hash_of_its_own_bytes() {
        let bytes: Vec<u8> = (0..700_001_u32).map(|i| (i % 251) as u8).collect();
        for limit in [1_000, 262_144, 300_000, 700_000, 700_001, u64::MAX] {
            let outcome = objects_of(&bytes, limit);
            assert_eq!(outcome.whole, digest_of(&bytes));
            let cut = usize::try_from(limit).expect("64 bits");
            let expected: Vec<Digest> = bytes.chunks(cut).map(digest_of).collect();
            assert_eq!(outcome.objects, expected, "limit {limit}");
        }
    }

    #[test]
    fn a_full_last_object_is_followed_by_none_and_nothing_is_one_empty_object() {
        assert_eq!(objects_of(&[1; 20], 10).objects.len(), 2);
        assert_eq!(objects_of(&[], 10).objects, [digest_of(&[])]);
    }
}
