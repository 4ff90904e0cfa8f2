//! zstd in independent frames with a seek table, so that `zstd -d` opens the whole and we can start anywhere.
//!
//! The layout is the Zstandard Seekable Format, version 0.1.0
//! (`contrib/seekable_format/zstd_seekable_compression_format.md` in facebook/zstd): frames, then a skippable frame with
//! one record per frame and a footer. Own code because a frame is compressed on any of several threads here; `zeekstd`
//! has one streaming encoder and brings a second zstd-safe.

use crate::reader::damaged;
use holdfast_domain::Failure;
use std::io;

/// Magic number of the skippable frame that holds the table.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
/// Magic number that ends the table.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// The footer: number of frames, descriptor, magic number.
pub(crate) const FOOTER_BYTES: usize = 9;
/// The skippable frame's header: magic number and length.
const SKIPPABLE_HEADER_BYTES: usize = 8;
/// One record: compressed size, plain size, checksum.
const RECORD_BYTES: usize = 12;
/// The descriptor's bit that says that records carry checksums.
const HAS_CHECKSUMS: u8 = 0x80;
/// The descriptor's bits that must be zero.
const RESERVED: u8 = 0x7c;
/// Largest frame written or accepted; usual are 4 MiB. It is what a reader must have memory for.
pub(crate) const MAX_FRAME_BYTES: u32 = 8 << 20;
/// Largest table accepted when reading: 5.5 million frames, 22 TiB at 4 MiB.
const MAX_TABLE_BYTES: u64 = 64 << 20;

/// Compresses one frame after the other; each stands alone.
pub(crate) struct FrameCompressor(zstd::bulk::Compressor<'static>);

impl FrameCompressor {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        // The checksum is also the record's: without it a flipped bit in an unencrypted copy could decompress.
        compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
        Ok(Self(compressor))
    }

    /// Puts the frame of `plain` into `frame`, in place of what is there.
    pub(crate) fn compress(&mut self, plain: &[u8], frame: &mut Vec<u8>) -> io::Result<()> {
        let bound = zstd::zstd_safe::compress_bound(plain.len());
        if frame.capacity() < bound {
            // Written to, so that it is there: what a run takes must depend neither on its length nor on its content.
            *frame = Vec::with_capacity(bound);
            frame.resize(bound, u8::MAX);
        }
        frame.clear();
        self.0.compress_to_buffer(plain, frame).map(|_| ())
    }
}

/// One frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) compressed: u32,
    pub(crate) plain: u32,
    /// Low 32 bits of XXH64 of the plain bytes, as in the frame's own last four bytes.
    pub(crate) checksum: u32,
}

/// Where frames lie. 3 MiB for every TiB at 4 MiB a frame: the only thing that grows with a stream.
#[derive(Default)]
pub(crate) struct SeekTable {
    frames: Vec<Frame>,
}

impl SeekTable {
    /// Notes a frame as made by [`FrameCompressor`].
    pub(crate) fn push(&mut self, plain_bytes: usize, frame: &[u8]) -> io::Result<()> {
        let too_large = |_| io::Error::other("a frame beyond 4 GiB");
        let tail = frame.last_chunk::<4>().ok_or_else(|| io::Error::other("a frame without checksum"))?;
        self.frames.push(Frame {
            compressed: u32::try_from(frame.len()).map_err(too_large)?,
            plain: u32::try_from(plain_bytes).map_err(too_large)?,
            checksum: u32::from_le_bytes(*tail),
        });
        Ok(())
    }

    /// The skippable frame.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let too_large = |_| io::Error::other("more frames than a seek table holds");
        let content = self.frames.len() * RECORD_BYTES + FOOTER_BYTES;
        let mut out = Vec::with_capacity(SKIPPABLE_HEADER_BYTES + content);
        out.extend(SKIPPABLE_MAGIC.to_le_bytes());
        out.extend(u32::try_from(content).map_err(too_large)?.to_le_bytes());
        for frame in &self.frames {
            out.extend(frame.compressed.to_le_bytes());
            out.extend(frame.plain.to_le_bytes());
            out.extend(frame.checksum.to_le_bytes());
        }
        out.extend(u32::try_from(self.frames.len()).map_err(too_large)?.to_le_bytes());
        out.push(HAS_CHECKSUMS);
        out.extend(SEEKABLE_MAGIC.to_le_bytes());
        Ok(out)
    }

    /// How long the skippable frame is whose last bytes are `footer`, in a stream of `stream_bytes`.
    pub(crate) fn len_from_footer(footer: &[u8; FOOTER_BYTES], stream_bytes: u64) -> Result<u64, Failure> {
        let [n0, n1, n2, n3, descriptor, m0, m1, m2, m3] = *footer;
        if u32::from_le_bytes([m0, m1, m2, m3]) != SEEKABLE_MAGIC {
            return Err(damaged("The copy does not end with a seek table."));
        }
        if descriptor & HAS_CHECKSUMS == 0 || descriptor & RESERVED != 0 {
            return Err(damaged("The copy's seek table is of another kind."));
        }
        let frames = u64::from(u32::from_le_bytes([n0, n1, n2, n3]));
        let len = frames * RECORD_BYTES as u64 + (FOOTER_BYTES + SKIPPABLE_HEADER_BYTES) as u64;
        if len > stream_bytes.min(MAX_TABLE_BYTES) {
            return Err(damaged("The copy's seek table is larger than it can be."));
        }
        Ok(len)
    }

    /// Reads the skippable frame of a stream of `stream_bytes`; every size in it must add up.
    pub(crate) fn parse(bytes: &[u8], stream_bytes: u64) -> Result<Self, Failure> {
        let wrong = || damaged("The copy's seek table does not add up.");
        let (header, rest) = bytes.split_first_chunk::<SKIPPABLE_HEADER_BYTES>().ok_or_else(wrong)?;
        let (records, footer) = rest.split_last_chunk::<FOOTER_BYTES>().ok_or_else(wrong)?;
        let [m0, m1, m2, m3, l0, l1, l2, l3] = *header;
        let is_ours = u32::from_le_bytes([m0, m1, m2, m3]) == SKIPPABLE_MAGIC
            && u32::from_le_bytes([l0, l1, l2, l3]) as usize == rest.len()
            && Self::len_from_footer(footer, stream_bytes)? == bytes.len() as u64;
        if !is_ours {
            return Err(wrong());
        }
        let mut frames = Vec::with_capacity(records.len() / RECORD_BYTES);
        let mut total = bytes.len() as u64;
        for record in records.chunks_exact(RECORD_BYTES) {
            let word = |at: usize| record[at..].first_chunk::<4>().map(|w| u32::from_le_bytes(*w));
            let (Some(compressed), Some(plain), Some(checksum)) = (word(0), word(4), word(8)) else {
                return Err(wrong());
            };
            if plain > MAX_FRAME_BYTES || compressed > MAX_FRAME_BYTES + MAX_FRAME_BYTES / 128 {
                return Err(damaged("The copy's seek table names a frame larger than any we write."));
            }
            total += u64::from(compressed);
            frames.push(Frame { compressed, plain, checksum });
        }
        if total == stream_bytes { Ok(Self { frames }) } else { Err(wrong()) }
    }

    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

/// Decompresses a frame and compares its size and checksum with the table's.
pub(crate) fn decompress(frame: Frame, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let wrong = || damaged("A part of the copy does not decompress to what was stored.");
    let is_checked = bytes.last_chunk::<4>().is_some_and(|tail| u32::from_le_bytes(*tail) == frame.checksum);
    if !is_checked || bytes.len() != frame.compressed as usize {
        return Err(wrong());
    }
    let plain = zstd::bulk::decompress(bytes, frame.plain as usize).map_err(|_| wrong())?;
    if plain.len() == frame.plain as usize { Ok(plain) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(frames: &[&[u8]]) -> (SeekTable, Vec<u8>) {
        let mut compressor = FrameCompressor::new(3).expect("level 3 exists");
        let (mut table, mut stream) = (SeekTable::default(), Vec::new());
        for plain in frames {
            let mut frame = Vec::new();
            compressor.compress(plain, &mut frame).expect("compresses");
            table.push(plain.len(), &frame).expect("small");
            stream.extend(frame);
        }
        (table, stream)
    }

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let (table, stream) = table(&[b"one", b"", b"three three three"]);
        let bytes = table.to_bytes().expect("small");
        let total = (stream.len() + bytes.len()) as u64;
        let read = SeekTable::parse(&bytes, total).expect("is ours");
        assert_eq!(read.frames(), table.frames());
        let first = read.frames()[0];
        assert_eq!(decompress(first, &stream[..first.compressed as usize]).expect("whole"), b"one");
    }

    #[test]
    fn no_changed_byte_of_a_table_goes_unnoticed_or_panics() {
        let (table, stream) = table(&[b"one", b"two"]);
        let bytes = table.to_bytes().expect("small");
        let total = (stream.len() + bytes.len()) as u64;
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x11;
            let Ok(read) = SeekTable::parse(&changed, total) else { continue };
            let mut offset = 0;
            let is_caught = read.frames().iter().any(|frame| {
                let from = offset;
                offset += frame.compressed as usize;
                decompress(*frame, &stream[from.min(stream.len())..offset.min(stream.len())]).is_err()
            });
            assert!(is_caught, "byte {at}");
        }
    }
}
