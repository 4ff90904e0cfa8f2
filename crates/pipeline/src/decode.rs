//! From what a store keeps back to plain bytes: whole, with every proof checked at the end, or from any frame on.
//!
//! Bytes are handed on before the end is proven: whoever takes them may use them only after `next()` said `None`.

pub(crate) mod archive;

use crate::digest::Hasher;
use crate::key::{DecryptKey, Opened};
use crate::reader::{ObjectReader, RangeReader, carried, damaged};
use bytes::Bytes;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::Read;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of a chunk handed on.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks waiting for the reader: 4 MiB.
const CHUNKS: usize = 16;
/// Largest window a frame may ask for, as a power of two: 8 MiB, twice what we write. A hostile frame could ask for 2 GiB.
pub(crate) const WINDOW_LOG_MAX: u32 = 23;

/// Where decoded bytes go; an error ends the decoding.
pub(crate) type Out<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

/// Bytes that come from a blocking thread, with a positive end.
pub struct ByteStream {
    from: mpsc::Receiver<Item>,
    thread: Option<JoinHandle<()>>,
}

enum Item {
    Data(Bytes),
    End(Result<(), Failure>),
}

impl ByteStream {
    /// Runs `work` on a blocking thread. Dropping the stream ends it at its next chunk.
    pub(crate) fn of(work: impl FnOnce(Out<'_>) -> Result<(), Failure> + Send + 'static) -> Self {
        let (to, from) = mpsc::channel(CHUNKS);
        let thread = tokio::task::spawn_blocking(move || {
            let gone = |_| Failure::new(Step::ReadCopy, FailureCode::Cancelled, "Nobody reads any more.");
            let end = work(&mut |bytes| {
                bytes
                    .chunks(CHUNK_BYTES)
                    .try_for_each(|chunk| to.blocking_send(Item::Data(Bytes::copy_from_slice(chunk))).map_err(gone))
            });
            // Nobody listens: then nobody misses the end either.
            drop(to.blocking_send(Item::End(end)));
        });
        Self { from, thread: Some(thread) }
    }

    /// The next bytes; none once everything came and was proven.
    ///
    /// # Errors
    /// `CopyDamaged`, `WrongPassword`, or what the store said. What came before must not be used.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let end = match self.from.recv().await {
            Some(Item::Data(bytes)) => return Ok(Some(bytes)),
            Some(Item::End(end)) => end,
            None => Err(Failure::new(Step::ReadCopy, FailureCode::Internal, "The stream ended without its proof.")),
        };
        if let Some(thread) = self.thread.take() {
            drop(thread.await);
        }
        // Asked again, a stream that ended well must not look cut.
        if end.is_ok() {
            let (to, from) = mpsc::channel(1);
            drop(to.try_send(Item::End(Ok(()))));
            self.from = from;
        }
        end.map(|()| None)
    }
}

/// The plain bytes of a whole stream. At the end the stored bytes equal `stored` and the plain ones `original`
/// (size and SHA-256), or it is `CopyDamaged`: cut, changed, exchanged or joined copies all are.
pub fn plain(reader: Arc<dyn ObjectReader>, key: DecryptKey, stored: Digest, original: Option<Digest>) -> ByteStream {
    let runtime = Handle::current();
    ByteStream::of(move |out| plain_blocking(reader, runtime, &key, (&stored, original.as_ref()), out))
}

/// The stream decrypted but still compressed (`zstd -d` opens it), proven against `stored` at its end.
pub fn archive(reader: Arc<dyn ObjectReader>, key: DecryptKey, stored: Digest) -> ByteStream {
    let runtime = Handle::current();
    ByteStream::of(move |out| {
        whole(reader, runtime, &stored, |stored_bytes| {
            let mut opened = Opened::start(&key, stored_bytes)?;
            pour(&mut opened, out)
        })
    })
}

/// The stored bytes themselves, proven against `stored` at their end.
pub fn stored(reader: Arc<dyn ObjectReader>, stored: Digest) -> ByteStream {
    archive(reader, DecryptKey::None, stored)
}

/// As [`plain`], on this thread, which may block.
pub(crate) fn plain_blocking(
    reader: Arc<dyn ObjectReader>,
    runtime: Handle,
    key: &DecryptKey,
    (stored, original): (&Digest, Option<&Digest>),
    out: Out<'_>,
) -> Result<(), Failure> {
    let mut hasher = Hasher::default();
    whole(reader, runtime, stored, |stored_bytes| {
        let opened = Opened::start(key, stored_bytes)?;
        let mut plain = zstd::stream::read::Decoder::new(opened).map_err(|e| carried(e, broken))?;
        plain.window_log_max(WINDOW_LOG_MAX).map_err(|e| carried(e, broken))?;
        pour(&mut plain, &mut |bytes| {
            hasher.update(bytes);
            out(bytes)
        })
    })?;
    match original {
        Some(expected) if *expected != hasher.finish() => {
            Err(damaged("What the copy holds is not what was backed up: its SHA-256 differs."))
        }
        _ => Ok(()),
    }
}

/// Runs `read` over a whole object and compares the object's size and SHA-256.
fn whole(
    reader: Arc<dyn ObjectReader>,
    runtime: Handle,
    expected: &Digest,
    read: impl FnOnce(&mut Hashing) -> Result<(), Failure>,
) -> Result<(), Failure> {
    check_size(reader.as_ref(), expected)?;
    let mut stored = Hashing { inner: RangeReader::new(reader, runtime), hasher: Hasher::default() };
    read(&mut stored)?;
    // Bytes behind the end of the ciphertext count too.
    std::io::copy(&mut stored, &mut std::io::sink()).map_err(|e| carried(e, broken))?;
    if stored.hasher.finish() == *expected {
        Ok(())
    } else {
        Err(damaged("The copy is not what was stored: its SHA-256 differs from the manifest's."))
    }
}

/// Refuses an object of another size before a byte of it is used.
pub(crate) fn check_size(reader: &dyn ObjectReader, expected: &Digest) -> Result<(), Failure> {
    let (is, should) = (reader.size_bytes(), expected.size_bytes);
    if is == should {
        return Ok(());
    }
    Err(damaged(format!("The copy has {is} bytes; {should} were stored.")))
}

fn pour(from: &mut dyn Read, out: Out<'_>) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => out(&buffer[..n])?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => (),
            Err(e) => return Err(carried(e, broken)),
        }
    }
}

pub(crate) fn broken(error: &std::io::Error) -> Failure {
    damaged(format!("The copy cannot be decoded: {error}."))
}

/// Hashes what is read.
struct Hashing {
    inner: RangeReader,
    hasher: Hasher,
}

impl Read for Hashing {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}
