//! The exact bytes of a stored object as a response body. A whole object's last bytes are held back until its SHA-256
//! is the recorded one: a damaged copy is a broken transfer and never a complete one.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::ObjectReader;
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use std::sync::Arc;

/// Bytes read at a time: what a download holds in memory.
const PIECE_BYTES: u64 = 512 * 1024;

struct Position {
    reader: Arc<dyn ObjectReader>,
    left: Range<u64>,
    /// Only for a whole object: a part cannot be compared with anything.
    check: Option<(Sha256, String)>,
}

/// `range` of `reader`; the whole is compared with `expected`.
pub fn stored_body(
    reader: Arc<dyn ObjectReader>,
    range: Range<u64>,
    expected: &Digest,
) -> impl Stream<Item = Result<Bytes, Failure>> + Send + 'static {
    let is_whole = range == (0..expected.size_bytes);
    let check = is_whole.then(|| (Sha256::new(), expected.sha256.clone()));
    stream::try_unfold(Position { reader, left: range, check }, next)
}

async fn next(mut at: Position) -> Result<Option<(Bytes, Position)>, Failure> {
    if at.left.is_empty() {
        return Ok(None);
    }
    let want = PIECE_BYTES.min(at.left.end - at.left.start);
    let bytes = at.reader.read_at(at.left.start, usize::try_from(want).unwrap_or(usize::MAX)).await?;
    if bytes.is_empty() || bytes.len() as u64 > want {
        return Err(damaged("it ends early"));
    }
    at.left.start += bytes.len() as u64;
    if let Some((hash, expected)) = &mut at.check {
        hash.update(&bytes);
        if at.left.is_empty() && hex::encode(hash.finalize_reset()) != *expected {
            return Err(damaged("its SHA-256 is not the recorded one"));
        }
    }
    Ok(Some((bytes, at)))
}

fn damaged(how: &str) -> Failure {
    Failure::new(Step::ReadCopy, FailureCode::CopyDamaged, format!("The stored object is damaged: {how}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use futures_util::TryStreamExt;

    struct Memory(Vec<u8>);

    #[async_trait]
    impl ObjectReader for Memory {
        fn size_bytes(&self) -> u64 {
            self.0.len() as u64
        }
        async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure> {
            let start = usize::try_from(offset).unwrap().min(self.0.len());
            Ok(Bytes::copy_from_slice(&self.0[start..(start + len).min(self.0.len())]))
        }
    }

    async fn delivered(content: Vec<u8>, expected: &[u8], range: Range<u64>) -> (Vec<u8>, Option<FailureCode>) {
        let digest = Digest { size_bytes: expected.len() as u64, sha256: hex::encode(Sha256::digest(expected)) };
        let mut body = std::pin::pin!(stored_body(Arc::new(Memory(content)), range, &digest));
        let mut got = Vec::new();
        loop {
            match body.try_next().await {
                Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                Ok(None) => return (got, None),
                Err(failure) => return (got, Some(failure.code)),
            }
        }
    }

    #[tokio::test]
    async fn the_whole_is_delivered_exactly_and_a_flipped_or_cut_one_never_completely() {
        let whole: Vec<u8> = (0..1_500_000u32).map(|n| n.to_le_bytes()[1]).collect();
        let all = 0..whole.len() as u64;
        assert_eq!(delivered(whole.clone(), &whole, all.clone()).await, (whole.clone(), None));
        for at in [0, 700_000, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            let (got, failure) = delivered(flipped, &whole, all.clone()).await;
            assert_eq!(failure, Some(FailureCode::CopyDamaged));
            assert!(got.len() < whole.len());
        }
        let (_, failure) = delivered(whole[..1_000_000].to_vec(), &whole, all).await;
        assert_eq!(failure, Some(FailureCode::CopyDamaged));
    }

    #[tokio::test]
    async fn a_part_is_exactly_that_part() {
        let whole: Vec<u8> = (0..=255).collect();
        assert_eq!(delivered(whole.clone(), &whole, 10..20).await, (whole[10..20].to_vec(), None));
    }
}
