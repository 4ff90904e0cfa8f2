//! Stores in memory, and the ways in and out in one call.

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_pipeline::digest::digest_of;
use holdfast_pipeline::{ByteStream, EncodeOptions, Encoded, Encryption, ObjectReader, Sink, encode};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

pub const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
pub const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
pub const PASSWORD: &str = "correct horse battery staple";

/// A stored object.
pub struct Memory(pub Vec<u8>);

#[async_trait]
impl ObjectReader for Memory {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure> {
        let from = usize::try_from(offset).expect("small").min(self.0.len());
        let until = (from + len).min(self.0.len());
        Ok(Bytes::copy_from_slice(&self.0[from..until]))
    }
}

pub fn memory(bytes: &[u8]) -> Arc<dyn ObjectReader> {
    Arc::new(Memory(bytes.to_vec()))
}

/// What happened to a [`MemorySink`].
#[derive(Default)]
pub struct Kept {
    pub bytes: Vec<u8>,
    pub is_committed: bool,
    pub is_aborted: bool,
}

/// Keeps what it is given; fails from a number of bytes on if told so.
pub struct MemorySink {
    pub kept: Arc<Mutex<Kept>>,
    pub fails_at: Option<(usize, Failure)>,
    pub gate: Option<mpsc::Receiver<()>>,
}

impl MemorySink {
    pub fn new() -> (Self, Arc<Mutex<Kept>>) {
        let kept = Arc::new(Mutex::new(Kept::default()));
        (Self { kept: kept.clone(), fails_at: None, gate: None }, kept)
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        if let Some(gate) = &mut self.gate {
            gate.recv().await;
        }
        let mut kept = self.kept.lock().expect("no panic while locked");
        kept.bytes.extend_from_slice(&bytes);
        match &self.fails_at {
            Some((at, failure)) if kept.bytes.len() >= *at => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    async fn commit(self: Box<Self>) -> Result<ManifestObject, Failure> {
        let mut kept = self.kept.lock().expect("no panic while locked");
        kept.is_committed = true;
        Ok(ManifestObject { name: "object".to_owned(), digest: digest_of(&kept.bytes) })
    }

    async fn abort(self: Box<Self>) {
        self.kept.lock().expect("no panic while locked").is_aborted = true;
    }
}

/// A stream and its index as stored.
pub struct Stored {
    pub body: Vec<u8>,
    pub index: Vec<u8>,
    pub encoded: Encoded,
}

pub async fn collect(mut from: mpsc::Receiver<Bytes>) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(bytes) = from.recv().await {
        out.extend_from_slice(&bytes);
    }
    out
}

/// Encodes `plain`, given in chunks of `chunk` bytes.
pub async fn store(plain: &[u8], chunk: usize, options: EncodeOptions) -> Result<Stored, Failure> {
    let mut encoder = encode(options)?;
    let chunks: Vec<Bytes> = plain.chunks(chunk.max(1)).map(Bytes::copy_from_slice).collect();
    let pump = async {
        for bytes in chunks {
            if encoder.input.write(bytes).await.is_err() {
                return;
            }
        }
        drop(encoder.input.finish().await);
    };
    let index = async {
        match encoder.index {
            Some(index) => collect(index).await,
            None => Vec::new(),
        }
    };
    let ((), body, index) = tokio::join!(pump, collect(encoder.body), index);
    Ok(Stored { body, index, encoded: encoder.outcome.wait().await? })
}

pub async fn read_all(mut stream: ByteStream) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    while let Some(bytes) = stream.next().await? {
        out.extend_from_slice(&bytes);
    }
    Ok(out)
}

pub fn digest(bytes: &[u8]) -> Digest {
    digest_of(bytes)
}

pub fn recipients() -> Encryption {
    Encryption::Recipients(vec![RECIPIENT.to_owned()])
}

/// Runs a command; its output if it ended well.
pub fn run(program: &str, args: &[&str], at: &Path) -> Result<Vec<u8>, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(at)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Bytes that look random and are the same each time (xorshift64*).
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        out.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    out.truncate(len);
    out
}
