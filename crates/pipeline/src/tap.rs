//! Reads a tar in passing: headers, names, sizes, where each entry lies, and whether the end mark came. It sees every
//! byte and keeps none of the data. What it does not understand it refuses: a stream that we cannot walk is one that
//! nobody can restore from.

use crate::entry::{EntryKind, IndexEntry, shown};
use tar::Header;

/// tar's unit.
const BLOCK: usize = 512;
/// Largest extended header or long name kept: extended attributes of one entry make it large.
const MAX_EXTENDED_BYTES: u64 = 8 << 20;
/// Longest path that gets a line in the index; a longer one is counted only.
const MAX_PATH_BYTES: usize = 64 << 10;
/// Most bytes of attribute names kept of one entry: what Linux lists at most (`XATTR_LIST_MAX`).
const MAX_XATTR_NAME_BYTES: usize = 64 << 10;

/// The stream is not a tar that can be restored.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TapError {
    #[error("at byte {at}: the header's checksum is wrong")]
    Checksum { at: u64 },
    #[error("at byte {at}: the header's {field} is no number")]
    Number { at: u64, field: &'static str },
    #[error("at byte {at}: an extended header of {bytes} bytes; at most {MAX_EXTENDED_BYTES} are taken")]
    Extended { at: u64, bytes: u64 },
    #[error("at byte {at}: the extended header is malformed")]
    Pax { at: u64 },
    #[error("at byte {at}: a lone zero block")]
    LoneZero { at: u64 },
    #[error("at byte {at}: data after the end mark")]
    AfterEnd { at: u64 },
}

/// What was seen of a whole stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TapReport {
    pub(crate) nfiles: u64,
    pub(crate) unindexed: u64,
    pub(crate) end_mark_seen: bool,
}

/// Where the walk is.
enum State {
    /// Collecting the header block.
    Header,
    /// Collecting an extended header's content.
    Extended { kind: u8, left: u64, padding: u64 },
    /// Collecting blocks of an old GNU sparse map.
    SparseMap { header: Box<Header> },
    /// Passing data and padding.
    Data { left: u64 },
    /// Two zero blocks came.
    Ended,
}

/// Fields that extended headers set for the next entry.
#[derive(Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    mtime: Option<i64>,
    uid: Option<u64>,
    gid: Option<u64>,
    xattrs: Vec<String>,
}

/// The walker.
pub(crate) struct Tap {
    at: u64,
    state: State,
    block: Vec<u8>,
    extended: Vec<u8>,
    entry_at: Option<u64>,
    has_zero_block: bool,
    overrides: Overrides,
    report: TapReport,
}

impl Default for Tap {
    fn default() -> Self {
        Self {
            at: 0,
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            extended: Vec::new(),
            entry_at: None,
            has_zero_block: false,
            overrides: Overrides::default(),
            report: TapReport::default(),
        }
    }
}

impl Tap {
    /// Takes the next bytes; `on_entry` gets each entry when its headers are complete.
    pub(crate) fn push(&mut self, bytes: &[u8], on_entry: &mut dyn FnMut(IndexEntry)) -> Result<(), TapError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match &mut self.state {
                State::Data { left } => {
                    let n = fit(*left, rest.len());
                    *left -= n as u64;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                    n
                }
                State::Extended { left, padding, .. } => {
                    let keep = fit(*left, rest.len());
                    self.extended.extend_from_slice(&rest[..keep]);
                    *left -= keep as u64;
                    let skip = fit(*padding, rest.len() - keep);
                    *padding -= skip as u64;
                    keep + skip
                }
                State::Ended if rest.iter().any(|b| *b != 0) => return Err(TapError::AfterEnd { at: self.at }),
                State::Ended => rest.len(),
                State::Header | State::SparseMap { .. } => {
                    let n = (BLOCK - self.block.len()).min(rest.len());
                    self.block.extend_from_slice(&rest[..n]);
                    n
                }
            };
            self.at += taken as u64;
            rest = &rest[taken..];
            self.step(on_entry)?;
        }
        Ok(())
    }

    /// What was seen so far.
    pub(crate) fn report(&self) -> TapReport {
        TapReport { end_mark_seen: matches!(self.state, State::Ended), ..self.report }
    }

    /// Acts on a part that is complete.
    fn step(&mut self, on_entry: &mut dyn FnMut(IndexEntry)) -> Result<(), TapError> {
        match &self.state {
            State::Extended { left: 0, padding: 0, kind } => {
                let kind = *kind;
                self.state = State::Header;
                self.apply_extended(kind)
            }
            State::Header if self.block.len() == BLOCK => {
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(&self.block);
                self.block.clear();
                self.header(header, on_entry)
            }
            State::SparseMap { header } if self.block.len() == BLOCK => {
                // `isextended` of a continuation block (GNU tar's `struct sparse_header`).
                let goes_on = self.block[504] != 0;
                self.block.clear();
                if goes_on {
                    return Ok(());
                }
                let header = header.clone();
                self.entry(&header, on_entry)
            }
            _ => Ok(()),
        }
    }

    fn header(&mut self, header: Header, on_entry: &mut dyn FnMut(IndexEntry)) -> Result<(), TapError> {
        let at = self.at - BLOCK as u64;
        if header.as_bytes().iter().all(|b| *b == 0) {
            if self.has_zero_block {
                self.state = State::Ended;
            }
            self.has_zero_block = true;
            return Ok(());
        }
        if self.has_zero_block {
            return Err(TapError::LoneZero { at });
        }
        if !is_checksum_right(&header) {
            return Err(TapError::Checksum { at });
        }
        self.entry_at.get_or_insert(at);
        match header.entry_type().as_byte() {
            kind @ (b'x' | b'X' | b'g' | b'L' | b'K') => {
                let size = header.entry_size().map_err(|_| TapError::Number { at, field: "size" })?;
                if size > MAX_EXTENDED_BYTES {
                    return Err(TapError::Extended { at, bytes: size });
                }
                self.extended.clear();
                self.state = State::Extended { kind, left: size, padding: padding(size) };
                self.step(on_entry)
            }
            b'S' if header.as_gnu().is_some_and(tar::GnuHeader::is_extended) => {
                self.state = State::SparseMap { header: Box::new(header) };
                Ok(())
            }
            _ => self.entry(&header, on_entry),
        }
    }

    fn apply_extended(&mut self, kind: u8) -> Result<(), TapError> {
        let content = std::mem::take(&mut self.extended);
        match kind {
            b'L' => self.overrides.path = Some(until_nul(&content).to_vec()),
            b'K' => self.overrides.link = Some(until_nul(&content).to_vec()),
            // Global records would belong to every later entry; GNU tar writes none and we restore none.
            b'g' => self.entry_at = None,
            _ => self.overrides.apply_pax(&content).ok_or(TapError::Pax { at: self.at })?,
        }
        Ok(())
    }

    /// An entry's headers are complete; its data follow.
    fn entry(&mut self, header: &Header, on_entry: &mut dyn FnMut(IndexEntry)) -> Result<(), TapError> {
        let over = std::mem::take(&mut self.overrides);
        let offset = self.entry_at.take().unwrap_or(self.at - BLOCK as u64);
        let number = |field| move |_| TapError::Number { at: offset, field };
        let kind_byte = header.entry_type().as_byte();
        let stored = match (kind_byte, over.size) {
            // As GNU tar reads it: a hard link has no data, whatever its header says.
            (b'1', _) => 0,
            (_, Some(size)) => size,
            (_, None) => header.entry_size().map_err(number("size"))?,
        };
        let data = stored.checked_add(padding(stored)).ok_or(TapError::Number { at: offset, field: "size" })?;
        self.state = if data == 0 { State::Header } else { State::Data { left: data } };
        if matches!(kind_byte, b'V' | b'M') {
            return Ok(());
        }
        let path = over.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = over.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        self.report.nfiles += 1;
        if path.len() > MAX_PATH_BYTES || link.as_ref().is_some_and(|l| l.len() > MAX_PATH_BYTES) {
            self.report.unindexed += 1;
            return Ok(());
        }
        let old_sparse = header.as_gnu().filter(|_| kind_byte == b'S').and_then(|gnu| gnu.real_size().ok());
        let kind = entry_kind(kind_byte, &path);
        let (path, path_base64) = shown(&path);
        let (link, link_base64) = link.filter(|_| is_link(kind)).map(|l| shown(&l)).unzip();
        on_entry(IndexEntry {
            path,
            path_base64,
            kind,
            size: over.real_size.or(old_sparse).unwrap_or(stored),
            mtime: over.mtime.or_else(|| header.mtime().ok().map(u64::cast_signed)).unwrap_or(0),
            mode: header.mode().map_err(number("mode"))? & 0o7777,
            uid: over.uid.or_else(|| header.uid().ok()).unwrap_or(0),
            gid: over.gid.or_else(|| header.gid().ok()).unwrap_or(0),
            link,
            link_base64: link_base64.flatten(),
            xattrs: over.xattrs,
            offset,
            length: (self.at - offset).saturating_add(data),
        });
        Ok(())
    }
}

impl Overrides {
    /// Takes the records of a PAX header, `<length> <key>=<value>\n`. By length, not by line as the `tar` crate does:
    /// names and extended attributes may hold line feeds. None if a record is malformed.
    fn apply_pax(&mut self, content: &[u8]) -> Option<()> {
        let mut rest = content;
        while !rest.is_empty() {
            let space = rest.iter().take(20).position(|b| *b == b' ')?;
            let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
            let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|b| *b == b'=')?;
            self.set(&record[..equals], &record[equals + 1..])?;
            rest = &rest[length..];
        }
        Some(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        match key {
            // An empty value takes an earlier one back (POSIX pax).
            b"path" if value.is_empty() => self.path = None,
            b"linkpath" if value.is_empty() => self.link = None,
            b"path" | b"GNU.sparse.name" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => self.real_size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                let text = std::str::from_utf8(value).ok()?;
                self.mtime = Some(text.split('.').next()?.parse().ok()?);
            }
            _ => {
                let kept: usize = self.xattrs.iter().map(String::len).sum();
                let name = key.strip_prefix(b"SCHILY.xattr.");
                if let Some(name) = name.filter(|name| kept + name.len() <= MAX_XATTR_NAME_BYTES) {
                    self.xattrs.push(String::from_utf8_lossy(name).into_owned());
                }
            }
        }
        Some(())
    }
}

fn fit(left: u64, available: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(available)
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// The sum of all bytes with the checksum field as blanks; some old programs added signed bytes.
fn is_checksum_right(header: &Header) -> bool {
    let Ok(stored) = header.cksum() else { return false };
    let blanked = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
    let bytes = || header.as_bytes().iter().enumerate().map(blanked);
    let unsigned: u32 = bytes().map(u32::from).sum();
    let signed: i32 = bytes().map(|b| i32::from(b.cast_signed())).sum();
    stored == unsigned || i64::from(stored) == i64::from(signed)
}

fn entry_kind(kind: u8, path: &[u8]) -> EntryKind {
    match kind {
        // Before POSIX a folder was a file whose name ended so.
        b'\0' | b'0' if path.ends_with(b"/") => EntryKind::Directory,
        b'\0' | b'0' | b'7' | b'S' => EntryKind::File,
        b'1' => EntryKind::Hardlink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' | b'D' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => EntryKind::Other,
    }
}

fn is_link(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Hardlink | EntryKind::Symlink)
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
