//! A stored stream opened at any frame. Each frame is proven by age (if encrypted) and by its checksum; that it is the
//! right stream is proven by the seek table's hash, where the caller knows it from the index.

use super::broken;
use crate::digest::digest_of;
use crate::frames::{FOOTER_BYTES, Frame, SeekTable, decompress};
use crate::key::{DecryptKey, Opened};
use crate::reader::{ObjectReader, RangeReader, carried, damaged};
use holdfast_domain::Failure;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A stream with its seek table read; only for threads that may block.
pub(crate) struct Archive {
    opened: Opened<RangeReader>,
    places: Vec<Place>,
    plain_bytes: u64,
    seek_table_sha256: String,
    last: Option<(usize, Vec<u8>)>,
}

/// Where a frame lies.
struct Place {
    frame: Frame,
    compressed_at: u64,
    plain_at: u64,
}

impl Archive {
    /// Reads the head (key) and the tail (end of the ciphertext, seek table).
    pub(crate) fn open(reader: Arc<dyn ObjectReader>, runtime: Handle, key: &DecryptKey) -> Result<Self, Failure> {
        let io = |e| carried(e, broken);
        let mut opened = Opened::start(key, RangeReader::new(reader, runtime))?;
        let stream_bytes = opened.seek(SeekFrom::End(0)).map_err(io)?;
        let footer_at =
            stream_bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged("The copy is too short to be one."))?;
        let mut footer = [0; FOOTER_BYTES];
        opened.seek(SeekFrom::Start(footer_at)).map_err(io)?;
        opened.read_exact(&mut footer).map_err(io)?;
        let table_bytes = SeekTable::len_from_footer(&footer, stream_bytes)?;
        let mut table = vec![0; usize::try_from(table_bytes).map_err(|_| damaged("The seek table is too large."))?];
        opened.seek(SeekFrom::Start(stream_bytes - table_bytes)).map_err(io)?;
        opened.read_exact(&mut table).map_err(io)?;
        let seek_table_sha256 = digest_of(&table).sha256;
        let (mut places, mut compressed_at, mut plain_at) = (Vec::new(), 0, 0);
        for frame in SeekTable::parse(&table, stream_bytes)?.frames() {
            places.push(Place { frame: *frame, compressed_at, plain_at });
            compressed_at += u64::from(frame.compressed);
            plain_at += u64::from(frame.plain);
        }
        Ok(Self { opened, places, plain_bytes: plain_at, seek_table_sha256, last: None })
    }

    pub(crate) fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    pub(crate) fn seek_table_sha256(&self) -> &str {
        &self.seek_table_sha256
    }

    pub(crate) fn frames(&self) -> usize {
        self.places.len()
    }

    /// A frame's plain bytes; the last one read is kept.
    pub(crate) fn frame(&mut self, number: usize) -> Result<&[u8], Failure> {
        if self.last.as_ref().is_none_or(|(kept, _)| *kept != number) {
            let place = self.places.get(number).ok_or_else(|| damaged("The copy ends before the wanted place."))?;
            let mut compressed = vec![0; place.frame.compressed as usize];
            self.opened.seek(SeekFrom::Start(place.compressed_at)).map_err(|e| carried(e, broken))?;
            self.opened.read_exact(&mut compressed).map_err(|e| carried(e, broken))?;
            self.last = Some((number, decompress(place.frame, &compressed)?));
        }
        Ok(self.last.as_ref().map(|(_, plain)| plain.as_slice()).unwrap_or_default())
    }

    /// Hands on the plain bytes of `range`.
    pub(crate) fn range(&mut self, range: &Range<u64>, out: super::Out<'_>) -> Result<(), Failure> {
        let mut at = range.start;
        while at < range.end {
            let number = self.places.partition_point(|p| p.plain_at + u64::from(p.frame.plain) <= at);
            let start = self.places.get(number).map_or(at, |p| p.plain_at);
            let plain = self.frame(number)?;
            let from = usize::try_from(at - start).unwrap_or(usize::MAX).min(plain.len());
            let until = usize::try_from(range.end - start).unwrap_or(usize::MAX).min(plain.len());
            out(&plain[from..until])?;
            at += (until - from) as u64;
        }
        Ok(())
    }
}
