//! Proof that a store holds what was given to it, read back from the store.

use crate::decode::archive::Archive;
use crate::decode::{ByteStream, check_size};
use crate::key::DecryptKey;
use crate::reader::ObjectReader;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a copy has to be.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The stored bytes.
    pub stored: Digest,
    /// Plain bytes, where they are known (an index's are not).
    pub original_bytes: Option<u64>,
}

/// V0: reads everything and compares size and SHA-256. [`crate::Sink::commit`] has done so already; later checks do it
/// for streams that we cannot open.
///
/// # Errors
/// `VerifyFailed`, or what the store said.
pub async fn v0(reader: Arc<dyn ObjectReader>, stored: &Digest) -> Result<(), Failure> {
    let mut stream: ByteStream = crate::decode::stored(reader, stored.clone());
    loop {
        match stream.next().await {
            Ok(Some(_)) => (),
            Ok(None) => return Ok(()),
            Err(failure) => return Err(at_verify(failure)),
        }
    }
}

/// V1: size; head, tail and seek table; then the first frame, the last, and one for each of `random` (any numbers):
/// each authenticated with the stream's key and compared with its checksum.
///
/// # Errors
/// `VerifyFailed`, or what the store said.
pub async fn v1(
    reader: Arc<dyn ObjectReader>,
    key: &DecryptKey,
    expected: Expected,
    random: &[u64],
) -> Result<(), Failure> {
    let (runtime, key, random) = (Handle::current(), key.clone(), random.to_vec());
    let check = move || v1_blocking(reader, runtime, &key, &expected, &random);
    let ended = tokio::task::spawn_blocking(check).await;
    ended
        .unwrap_or_else(|e| Err(Failure::new(Step::Verify, FailureCode::Internal, format!("The check ended: {e}."))))
        .map_err(at_verify)
}

fn v1_blocking(
    reader: Arc<dyn ObjectReader>,
    runtime: Handle,
    key: &DecryptKey,
    expected: &Expected,
    random: &[u64],
) -> Result<(), Failure> {
    check_size(reader.as_ref(), &expected.stored)?;
    let mut archive = Archive::open(reader, runtime, key)?;
    if expected.original_bytes.is_some_and(|bytes| bytes != archive.plain_bytes()) {
        return Err(crate::reader::damaged("The copy's seek table belongs to another stream."));
    }
    let frames = archive.frames() as u64;
    let picked = random.iter().map(|r| r % frames.max(1));
    let mut numbers: Vec<u64> = picked.chain([0, frames.saturating_sub(1)]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        archive.frame(usize::try_from(number).unwrap_or(usize::MAX))?;
    }
    Ok(())
}

/// What a reader calls a damaged copy is here a copy that was never good.
fn at_verify(failure: Failure) -> Failure {
    let code = match failure.code {
        FailureCode::CopyDamaged | FailureCode::WrongPassword => FailureCode::VerifyFailed,
        other => other,
    };
    Failure { step: Step::Verify, code, ..failure }
}
