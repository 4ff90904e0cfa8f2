//! From a source's plain bytes to what a store keeps.
//!
//! One thread hashes, walks the tar and cuts frames; one or more compress, in turn; one seals, hashes and hands on.
//! Everything between them is bounded: about 40 MiB a stream. Nothing here may end a stream that its producer did not
//! finish: a body without its end is refused by every reader, but the first guard is that nobody commits it.

pub(crate) mod threads;

use crate::key::{DecryptKey, Encryption};
use crate::meter::Meter;
use crate::outlet::Outlet;
use bytes::Bytes;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Chunks waiting for the first thread; with 256 KiB chunks 4 MiB.
const INPUT_CHUNKS: usize = 16;

/// What the plain bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    /// A tar: walked, indexed, and its end mark is demanded.
    Tar,
    /// Anything else: the end proof is the source's.
    Opaque,
}

/// How a stream is made.
pub struct EncodeOptions {
    /// What the plain bytes are.
    pub format: StreamFormat,
    /// How it is sealed.
    pub encryption: Encryption,
    /// zstd's level.
    pub level: i32,
    /// Plain bytes of a frame; at most 8 MiB.
    pub frame_bytes: usize,
    /// Whether an index is made; only of a tar.
    pub with_index: bool,
    /// Threads that compress, at least one. Each takes up to 12 MiB with frames of 4 MiB.
    pub compress_threads: usize,
    /// Stored bytes of an object; what is more goes on in a next one. Not of the index, which is one object.
    pub object_limit_bytes: u64,
}

impl EncodeOptions {
    /// zstd 3, frames of 4 MiB, an index for a tar, two compressing threads where the machine has two, one object.
    #[must_use]
    pub fn new(format: StreamFormat, encryption: Encryption) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            format,
            encryption,
            level: 3,
            frame_bytes: 4 << 20,
            with_index: format == StreamFormat::Tar,
            compress_threads: threads.min(2),
            object_limit_bytes: u64::MAX,
        }
    }
}

/// A stream in the making. Input, body and index must move at the same time.
pub struct Encoder {
    /// Takes plain bytes.
    pub input: EncodeInput,
    /// Gives stored bytes; that it ends says nothing, [`Encoder::outcome`] does.
    pub body: mpsc::Receiver<Bytes>,
    /// Gives the index's stored bytes.
    pub index: Option<mpsc::Receiver<Bytes>>,
    /// What was made.
    pub outcome: EncodeOutcome,
    /// How far it is.
    pub meter: Arc<Meter>,
}

/// What a finished stream is.
pub struct Encoded {
    /// The plain bytes.
    pub original: Digest,
    /// After compression, seek table included.
    pub compressed_bytes: u64,
    /// The stored bytes.
    pub stored: Digest,
    /// The stored bytes, object by object.
    pub objects: Vec<Digest>,
    /// The index beside it.
    pub index: Option<EncodedIndex>,
    /// Entries of a tar.
    pub nfiles: u64,
    /// Entries whose path is too long for the index (over 64 KiB); they are in the archive.
    pub unindexed: u64,
    /// A tar's two zero blocks came. Always true for a tar: without them there is no [`Encoded`].
    pub end_mark_seen: bool,
    /// Opens this stream, for the check that follows; forget it then.
    pub key: DecryptKey,
}

/// What a finished index is.
pub struct EncodedIndex {
    /// The stored bytes.
    pub stored: Digest,
    /// Opens it.
    pub key: DecryptKey,
}

/// The stream ended before its input did: the reason is with [`EncodeOutcome::wait`], or with whoever read the body.
#[derive(Debug, thiserror::Error)]
#[error("the stream takes no more bytes")]
pub struct Stopped;

/// The way in. Dropping it unfinished ends the stream with an error.
pub struct EncodeInput(mpsc::Sender<Input>);

/// The result in waiting.
pub struct EncodeOutcome(JoinHandle<Result<Encoded, Failure>>);

enum Input {
    Data(Bytes),
    Finish,
}

impl EncodeInput {
    /// Hands the next plain bytes on; waits while the stream is busy. Chunks of about 256 KiB are best.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Stopped> {
        self.0.send(Input::Data(bytes)).await.map_err(|_| Stopped)
    }

    /// Says that everything came, and that the source ended well: nothing else does.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn finish(self) -> Result<(), Stopped> {
        self.0.send(Input::Finish).await.map_err(|_| Stopped)
    }
}

impl EncodeOutcome {
    /// Waits for the end.
    ///
    /// # Errors
    /// The input was dropped (`SourceIncomplete`), the tar is broken or without end mark (`SourceIncomplete`), or
    /// nobody took the body (`DestinationFailed`).
    pub async fn wait(self) -> Result<Encoded, Failure> {
        self.0.await.unwrap_or_else(|e| {
            Err(Failure::new(Step::Stream, FailureCode::Internal, format!("The byte threads ended: {e}.")))
        })
    }
}

/// Starts a stream; needs a tokio runtime for its blocking thread.
///
/// # Errors
/// The encryption cannot be used ([`Encryption::check`]).
pub fn encode(options: EncodeOptions) -> Result<Encoder, Failure> {
    options.encryption.check()?;
    let (input, from_source) = mpsc::channel(INPUT_CHUNKS);
    let meter = Arc::new(Meter::default());
    let (outlet, body) = Outlet::channel(options.object_limit_bytes);
    let (index_outlet, index) =
        (options.with_index && options.format == StreamFormat::Tar).then(|| Outlet::channel(u64::MAX)).unzip();
    let work = threads::Work { options, from_source, outlet, index_outlet, meter: meter.clone() };
    let outcome = EncodeOutcome(tokio::task::spawn_blocking(move || work.run()));
    Ok(Encoder { input: EncodeInput(input), body, index, outcome, meter })
}
