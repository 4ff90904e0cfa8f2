//! The index of a tar: one JSON object a line, first what it is, then one for each entry in the archive's order, at the
//! end what stream it belongs to. `age -d`, `zstd -d` and a pager open it. Never held whole, on either side.

pub(crate) mod writer;

use crate::decode::plain_blocking;
use crate::entry::{EntryKind, IndexEntry, comparable, is_within, shown};
use crate::key::DecryptKey;
use crate::reader::{ObjectReader, damaged};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The only version there is.
pub(crate) const INDEX_VERSION: u32 = 1;
/// Longest line accepted.
const MAX_LINE_BYTES: usize = 4 << 20;
/// Folders remembered that have no entry of their own (`var` where only `var/www` was backed up).
const MAX_IMPLIED: usize = 10_000;

/// Lines that are no entries.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first.
    Index { version: u32, format: String },
    /// The last.
    End(IndexEnd),
}

/// The last line: what the index belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEnd {
    /// Entries in the index.
    pub entries: u64,
    /// Entries of the archive whose path is too long for the index.
    pub unindexed: u64,
    /// The stream's plain bytes.
    pub original: Digest,
    /// The stream's stored bytes.
    pub stored: Digest,
    /// Of the stream's seek table: binds the index to this one stream.
    pub seek_table_sha256: String,
}

/// What lies straight in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The page asked for, in the archive's order.
    pub entries: Vec<ListedEntry>,
    /// How many there are in all.
    pub total: u64,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// Its name in the folder, to show.
    pub name: String,
    /// A folder that has no entry of its own: path and kind are all that is known.
    pub is_implied: bool,
    /// What the index says.
    pub entry: IndexEntry,
}

/// Reads a whole index and gives each entry to `each`; an error of `each` ends it.
///
/// # Errors
/// `CopyDamaged` if it is not, to the last byte, the index that `stored` names; what the store or `each` said.
pub async fn scan<T: Send + 'static>(
    reader: Arc<dyn ObjectReader>,
    key: DecryptKey,
    stored: Digest,
    mut state: T,
    each: impl Fn(&mut T, IndexEntry) -> Result<(), Failure> + Send + 'static,
) -> Result<(T, IndexEnd), Failure> {
    let runtime = Handle::current();
    // Lives as long as this future: the thread ends soon after whoever asked went away.
    let asked = Arc::new(());
    let still_asked = Arc::downgrade(&asked);
    let read = move || {
        let mut lines = Lines::default();
        plain_blocking(reader, runtime, &key, (&stored, None), &mut |bytes| {
            if still_asked.strong_count() == 0 {
                return Err(Failure::new(Step::ReadCopy, FailureCode::Cancelled, "Nobody reads any more."));
            }
            lines.push(bytes, &mut |entry| each(&mut state, entry))
        })?;
        Ok((state, lines.finish()?))
    };
    let ended = tokio::task::spawn_blocking(read).await;
    drop(asked);
    ended.unwrap_or_else(|e| {
        Err(Failure::new(Step::ReadCopy, FailureCode::Internal, format!("Reading the index ended: {e}.")))
    })
}

/// What lies straight in `folder` (none: at the top), `limit` entries after `offset`. The whole index is read, so that
/// its hash is proven before anything of it is shown.
///
/// # Errors
/// As [`scan`].
pub async fn list(
    reader: Arc<dyn ObjectReader>,
    key: DecryptKey,
    stored: Digest,
    folder: Option<&str>,
    (offset, limit): (u64, u64),
) -> Result<Listing, Failure> {
    let folder = comparable(folder.unwrap_or_default().as_bytes()).to_vec();
    let page = Page { folder, offset, limit, total: 0, entries: Vec::new(), last: Vec::new(), implied: HashMap::new() };
    let (page, _) = scan(reader, key, stored, page, |page, entry| {
        page.take(entry);
        Ok(())
    })
    .await?;
    Ok(Listing { entries: page.entries, total: page.total })
}

/// Cuts lines and parses them.
#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    is_started: bool,
    entries: u64,
    end: Option<IndexEnd>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(IndexEntry) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            if self.partial.is_empty() {
                self.line(&rest[..at], each)?;
            } else {
                self.partial.extend_from_slice(&rest[..at]);
                let line = std::mem::take(&mut self.partial);
                self.line(&line, each)?;
            }
            rest = &rest[at + 1..];
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > MAX_LINE_BYTES { Err(damaged("The index has an endless line.")) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8], each: &mut dyn FnMut(IndexEntry) -> Result<(), Failure>) -> Result<(), Failure> {
        let wrong = |_| damaged("The index has a line that is none of ours.");
        if self.end.is_some() {
            return Err(damaged("The index goes on after its end."));
        }
        if self.is_started && line.starts_with(b"{\"path\"") {
            self.entries += 1;
            return each(serde_json::from_slice(line).map_err(wrong)?);
        }
        match serde_json::from_slice(line).map_err(wrong)? {
            Line::Index { version: INDEX_VERSION, .. } if !self.is_started => self.is_started = true,
            Line::Index { .. } => return Err(damaged("The index is of another version.")),
            Line::End(end) => self.end = Some(end),
        }
        Ok(())
    }

    fn finish(self) -> Result<IndexEnd, Failure> {
        match self.end {
            Some(end) if self.partial.is_empty() && end.entries == self.entries => Ok(end),
            _ => Err(damaged("The index ends early.")),
        }
    }
}

/// The page of a listing while the entries go by.
struct Page {
    folder: Vec<u8>,
    offset: u64,
    limit: u64,
    total: u64,
    entries: Vec<ListedEntry>,
    /// The name of the last entry seen: all below a folder follow its own entry.
    last: Vec<u8>,
    /// Folders without an entry of their own so far, and where they are in `entries`.
    implied: HashMap<Vec<u8>, Option<usize>>,
}

impl Page {
    fn take(&mut self, entry: IndexEntry) {
        let exact = entry.path_bytes().into_owned();
        let path = comparable(&exact);
        if !is_within(path, &self.folder) || path == self.folder.as_slice() {
            return;
        }
        let below = if self.folder.is_empty() { path } else { &path[self.folder.len() + 1..] };
        let name = below.split(|b| *b == b'/').next().unwrap_or_default();
        let is_implied = name.len() < below.len();
        if is_implied && (self.last == name || self.implied.contains_key(name)) {
            return;
        }
        self.last = name.to_vec();
        let (shown_name, _) = shown(name);
        let listed = if is_implied {
            let folder_path = &path[..path.len() - below.len() + name.len()];
            ListedEntry { name: shown_name, is_implied, entry: implied_folder(folder_path) }
        } else {
            ListedEntry { name: shown_name, is_implied, entry }
        };
        if let Some(place) = self.implied.remove(name) {
            // Its own entry came after what lies in it.
            if let Some(listed_before) = place.and_then(|at| self.entries.get_mut(at)) {
                *listed_before = listed;
            }
            return;
        }
        let is_on_page = self.total >= self.offset && (self.entries.len() as u64) < self.limit;
        self.total += 1;
        if is_implied && self.implied.len() < MAX_IMPLIED {
            self.implied.insert(name.to_vec(), is_on_page.then_some(self.entries.len()));
        }
        if is_on_page {
            self.entries.push(listed);
        }
    }
}

fn implied_folder(path: &[u8]) -> IndexEntry {
    let (path, path_base64) = shown(path);
    IndexEntry {
        path,
        path_base64,
        kind: EntryKind::Directory,
        size: 0,
        mtime: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        link: None,
        link_base64: None,
        xattrs: Vec::new(),
        offset: 0,
        length: 0,
    }
}
