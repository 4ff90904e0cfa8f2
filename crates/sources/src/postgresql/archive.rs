//! pg_dump's custom format, read in passing: which tables are in it, and whether it is whole. It has no end mark, so the
//! proof of its end is that the table of contents was complete, that every entry that promised data brought its block, and
//! that nothing was left open. Nothing of it is kept but numbers, and no length that it names is ever allocated.

mod contents;

use contents::{Entry, Field};
use std::collections::HashSet;

/// Begins every archive.
const MAGIC: &[u8] = b"PGDMP";

/// The format's versions whose layout is known: 1.12 (pg_dump 9.0) to 1.16 (18).
const KNOWN: std::ops::RangeInclusive<u8> = 12..=16;

/// Text of an entry that is looked at: what kind it is, a number as text.
const TEXT_BYTES: usize = 64;

/// Entries that a table of contents may have.
const ENTRIES: i64 = 20_000_000;

/// Why the bytes are no archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// It begins with something else.
    #[error("it does not begin as an archive does")]
    Magic,
    /// A number or a kind that cannot be.
    #[error("it holds what no archive holds")]
    Content,
    /// Data that no entry promised, or twice.
    #[error("it holds data that its table of contents does not name")]
    Data,
}

/// What was read of an archive so far.
#[derive(Default)]
pub(super) struct Archive {
    omit: HashSet<(u32, u32)>,
    at: At,
    hold: Vec<u8>,
    skip: u64,
    text: Option<Text>,
    minor: u8,
    int_bytes: usize,
    offset_bytes: usize,
    entries_left: i64,
    entry: Entry,
    promised: HashSet<i64>,
    omitted: HashSet<i64>,
    wanted: Vec<i64>,
    tables: Vec<u32>,
    toc_bytes: u64,
}

/// What comes next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Magic,
    /// Compression, seven numbers of a date, three texts, the number of entries.
    Head(u8),
    /// A field of an entry.
    Field(Field),
    Block,
    BlockId {
        is_large_objects: bool,
    },
    LargeObject,
    Chunk {
        is_large_object: bool,
    },
    /// The layout is not known; whatever comes is passed by.
    Unknown,
}

/// A text whose length was read.
#[derive(Clone, Copy)]
struct Text {
    bytes: usize,
    is_there: bool,
}

impl Archive {
    /// One in which the objects with these numbers, and all that belongs to them, are not wanted.
    pub(super) fn without(omit: HashSet<(u32, u32)>) -> Self {
        Self { omit, ..Self::default() }
    }

    /// Reads on.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(super) fn feed(&mut self, mut data: &[u8]) -> Result<(), Malformed> {
        while !data.is_empty() {
            let before = data.len();
            let is_in_contents = matches!(self.at, At::Magic | At::Head(_) | At::Field(_));
            self.step(&mut data)?;
            if is_in_contents {
                self.toc_bytes += (before - data.len()) as u64;
            }
        }
        Ok(())
    }

    /// Whether it could end here.
    pub(super) fn is_whole(&self) -> bool {
        self.at == At::Unknown || (self.at == At::Block && self.hold.is_empty() && self.promised.is_empty())
    }

    /// Whether its layout is one that we know; where it is not, nothing was counted.
    pub(super) fn is_known(&self) -> bool {
        self.at != At::Unknown
    }

    /// Whether the table of contents was read to its end.
    pub(super) fn has_contents(&self) -> bool {
        !matches!(self.at, At::Magic | At::Head(_) | At::Field(_))
    }

    /// The tables in it, by their number in `pg_class`.
    pub(super) fn tables(&self) -> &[u32] {
        &self.tables
    }

    /// How long the table of contents is.
    pub(super) fn toc_bytes(&self) -> u64 {
        self.toc_bytes
    }

    /// The wanted entries, a line each: what `pg_restore -L` reads.
    pub(super) fn list(&self) -> String {
        use std::fmt::Write as _;
        let mut list = String::with_capacity(self.wanted.len() * 8);
        for id in &self.wanted {
            let _ = writeln!(list, "{id};");
        }
        list
    }

    /// Whether anything is to be left out.
    pub(super) fn omits(&self) -> bool {
        !self.omit.is_empty()
    }

    /// Whether there is an entry that is not wanted.
    pub(super) fn has_omitted(&self) -> bool {
        !self.omitted.is_empty()
    }

    /// One step: takes at least a byte, and stays where it is when more are needed.
    fn step(&mut self, data: &mut &[u8]) -> Result<(), Malformed> {
        if self.skip > 0 {
            let now = self.skip.min(data.len() as u64);
            *data = &data[usize::try_from(now).unwrap_or(data.len())..];
            self.skip -= now;
            return Ok(());
        }
        if matches!(self.at, At::Chunk { .. }) && self.hold.is_empty() {
            self.pass_whole_chunks(data);
            if data.is_empty() {
                return Ok(());
            }
        }
        let next = match self.at {
            At::Magic => self.magic(data)?,
            At::Head(part) => self.head(part, data)?,
            At::Field(field) => self.field(field, data)?,
            At::Block => self.take(1, data).map(|byte| byte[0]).map(block).transpose()?,
            At::BlockId { is_large_objects } => self.block_id(is_large_objects, data)?,
            At::LargeObject => self.int(data)?.map(|oid| match oid {
                0 => At::Block,
                _ => At::Chunk { is_large_object: true },
            }),
            At::Chunk { is_large_object } => self.chunk(is_large_object, data)?,
            At::Unknown => {
                *data = &[];
                Some(At::Unknown)
            }
        };
        self.at = next.unwrap_or(self.at);
        Ok(())
    }

    /// Magic, three bytes of version, the sizes of numbers and offsets, the kind of archive.
    fn magic(&mut self, data: &mut &[u8]) -> Result<Option<At>, Malformed> {
        let Some(head) = self.take(MAGIC.len() + 6, data) else { return Ok(None) };
        let (magic, rest) = head.split_at(MAGIC.len());
        if magic != MAGIC || rest[5] != 1 {
            return Err(Malformed::Magic);
        }
        self.minor = rest[1];
        (self.int_bytes, self.offset_bytes) = (usize::from(rest[3]), usize::from(rest[4]));
        if rest[0] != 1 || !KNOWN.contains(&self.minor) {
            return Ok(Some(At::Unknown));
        }
        if !(1..=8).contains(&self.int_bytes) || !(1..=8).contains(&self.offset_bytes) {
            return Err(Malformed::Content);
        }
        Ok(Some(At::Head(0)))
    }

    fn head(&mut self, part: u8, data: &mut &[u8]) -> Result<Option<At>, Malformed> {
        let next = Some(At::Head(part + 1));
        Ok(match part {
            // From 1.15 on it names the way of compression, before that the level.
            0 if self.minor >= 15 => self.take(1, data).and(next),
            0..=7 => self.int(data)?.and(next),
            8..=10 => self.text(data, false)?.and(next),
            _ => {
                let Some(entries) = self.int(data)? else { return Ok(None) };
                if !(0..=ENTRIES).contains(&entries) {
                    return Err(Malformed::Content);
                }
                self.entries_left = entries;
                Some(self.next_entry())
            }
        })
    }

    fn block_id(&mut self, is_large_objects: bool, data: &mut &[u8]) -> Result<Option<At>, Malformed> {
        let Some(id) = self.int(data)? else { return Ok(None) };
        if !self.promised.remove(&id) {
            return Err(Malformed::Data);
        }
        Ok(Some(if is_large_objects { At::LargeObject } else { At::Chunk { is_large_object: false } }))
    }

    /// Chunks that lie here whole, in one go: pg_dump writes one for each row, and there are many.
    fn pass_whole_chunks(&self, data: &mut &[u8]) {
        let head = 1 + self.int_bytes;
        while data.len() > head && data[0] == 0 {
            let length = data[1..head].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
            match data[head..].get(length..) {
                Some(rest) if length > 0 => *data = rest,
                _ => return,
            }
        }
    }

    fn chunk(&mut self, is_large_object: bool, data: &mut &[u8]) -> Result<Option<At>, Malformed> {
        let Some(bytes) = self.int(data)? else { return Ok(None) };
        self.skip = u64::try_from(bytes).map_err(|_| Malformed::Content)?;
        Ok(Some(match (bytes, is_large_object) {
            (0, true) => At::LargeObject,
            (0, false) => At::Block,
            _ => At::Chunk { is_large_object },
        }))
    }

    /// A number: a byte for its sign, then its bytes, the lowest first.
    fn int(&mut self, data: &mut &[u8]) -> Result<Option<i64>, Malformed> {
        let Some(bytes) = self.take(1 + self.int_bytes, data) else { return Ok(None) };
        let value = bytes[1..].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let value = i64::try_from(value).map_err(|_| Malformed::Content)?;
        match bytes[0] {
            0 => Ok(Some(value)),
            1 => Ok(Some(-value)),
            _ => Err(Malformed::Content),
        }
    }

    /// A text, or none where there is none; only one that is kept is looked at.
    fn text(&mut self, data: &mut &[u8], is_kept: bool) -> Result<Option<Option<Vec<u8>>>, Malformed> {
        let text = match self.text {
            Some(text) => text,
            None => {
                let Some(bytes) = self.int(data)? else { return Ok(None) };
                let text = Text { bytes: usize::try_from(bytes.max(0)).unwrap_or_default(), is_there: bytes >= 0 };
                if !is_kept {
                    self.skip = text.bytes as u64;
                    return Ok(Some(None));
                }
                if text.bytes > TEXT_BYTES {
                    return Err(Malformed::Content);
                }
                *self.text.insert(text)
            }
        };
        let Some(bytes) = self.take(text.bytes, data) else { return Ok(None) };
        self.text = None;
        Ok(Some(text.is_there.then_some(bytes[..text.bytes].to_vec())))
    }

    /// The next `length` bytes (64 at most), put together over pieces.
    fn take(&mut self, length: usize, data: &mut &[u8]) -> Option<[u8; TEXT_BYTES]> {
        let mut taken = [0; TEXT_BYTES];
        if self.hold.is_empty() && data.len() >= length {
            taken[..length].copy_from_slice(&data[..length]);
            *data = &data[length..];
            return Some(taken);
        }
        let now = (length - self.hold.len()).min(data.len());
        self.hold.extend_from_slice(&data[..now]);
        *data = &data[now..];
        if self.hold.len() < length {
            return None;
        }
        taken[..length].copy_from_slice(&self.hold);
        self.hold.clear();
        Some(taken)
    }
}

/// 1 is a table's rows, 3 are large objects.
fn block(kind: u8) -> Result<At, Malformed> {
    match kind {
        1 => Ok(At::BlockId { is_large_objects: false }),
        3 => Ok(At::BlockId { is_large_objects: true }),
        _ => Err(Malformed::Content),
    }
}

#[cfg(test)]
mod tests;
