//! Reads a stored object on threads that may block.

use super::{LocalRoot, damaged};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{Failure, Step};
use holdfast_pipeline::ObjectReader;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// Most bytes of one call.
const MAX_READ_BYTES: usize = 4 << 20;

/// An open object; it stays readable even when it is deleted meanwhile.
pub(super) struct LocalReader {
    pub(super) root: LocalRoot,
    pub(super) file: Arc<File>,
    pub(super) size_bytes: u64,
}

#[async_trait]
impl ObjectReader for LocalReader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, Failure> {
        let left = self.size_bytes.saturating_sub(offset);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(len).min(MAX_READ_BYTES);
        if want == 0 {
            return Ok(Bytes::new());
        }
        let file = self.file.clone();
        self.root
            .call(Step::ReadCopy, move |_| {
                let mut bytes = vec![0; want];
                file.read_exact_at(&mut bytes, offset).map_err(|e| damaged(format!("Reading the copy: {e}.")))?;
                Ok(Bytes::from(bytes))
            })
            .await
    }
}
