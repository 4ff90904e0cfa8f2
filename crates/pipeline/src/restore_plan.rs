//! Giving back some paths: which parts of the archive hold them, and a tar of only those.

use crate::decode::archive::Archive;
use crate::decode::{ByteStream, check_size};
use crate::entry::{EntryKind, IndexEntry, comparable, shown};
use crate::index::{IndexEnd, scan};
use crate::key::DecryptKey;
use crate::reader::{ObjectReader, damaged};
use crate::tap::Tap;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Separate parts of an archive that one restore may read: 16 MB of memory.
const MAX_RANGES: usize = 1_000_000;
/// Hard links out of the selection that one restore may follow.
const MAX_LINK_TARGETS: usize = 100_000;
/// tar's end mark.
const END_MARK: [u8; 1024] = [0; 1024];

/// What a selection comes to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Parts of the plain stream, in order, apart from each other.
    pub ranges: Vec<Range<u64>>,
    /// Entries in them.
    pub entries: u64,
    /// Bytes of their regular files, holes included.
    pub file_bytes: u64,
    /// Wanted paths that the backup does not hold.
    pub missing: Vec<String>,
    /// Entries nobody asked for: a selected hard link needs the file it points to.
    pub added_link_targets: Vec<String>,
    /// What stream the parts are of.
    pub stream: IndexEnd,
}

impl Plan {
    /// Bytes of the tar that [`selected`] gives.
    #[must_use]
    pub fn tar_bytes(&self) -> u64 {
        self.ranges.iter().map(|r| r.end - r.start).sum::<u64>() + END_MARK.len() as u64
    }
}

/// Reads the index and selects `wanted` (as on the source, with or without a leading `/`; a folder means all below it).
/// Folders above a wanted path are not selected: `tar` makes them.
///
/// # Errors
/// As [`scan`]; `RestoreIncomplete` when the selection is too scattered to be planned.
pub async fn plan(
    reader: Arc<dyn ObjectReader>,
    key: DecryptKey,
    index_stored: Digest,
    wanted: Vec<String>,
) -> Result<Plan, Failure> {
    let selection = Selection::new(wanted);
    let pass = scan(reader.clone(), key.clone(), index_stored.clone(), selection, Selection::first_pass);
    let (mut selection, stream) = pass.await?;
    if !selection.link_targets.is_empty() {
        (selection, _) = scan(reader, key, index_stored, selection, Selection::second_pass).await?;
    }
    if let Some(target) = selection.link_targets.iter().next() {
        return Err(damaged(format!("A hard link points to {:?}, which the archive does not hold.", shown(target).0)));
    }
    let found = |at: &usize| !selection.found.contains(at);
    let missing = (0..selection.wanted.len()).filter(found).map(|at| selection.wanted[at].clone()).collect();
    Ok(Plan {
        ranges: merged(selection.ranges),
        entries: selection.entries,
        file_bytes: selection.file_bytes,
        missing,
        added_link_targets: selection.added,
        stream,
    })
}

/// A tar of the planned entries, with an end mark; read from the frames that hold them, and walked once more in
/// passing.
pub fn selected(reader: Arc<dyn ObjectReader>, key: DecryptKey, plan: &Plan) -> ByteStream {
    let (runtime, plan) = (Handle::current(), plan.clone());
    ByteStream::of(move |out| {
        check_size(reader.as_ref(), &plan.stream.stored)?;
        let mut archive = Archive::open(reader, runtime, &key)?;
        if archive.seek_table_sha256() != plan.stream.seek_table_sha256 {
            return Err(damaged("The copy is another one than its index was made for."));
        }
        let (mut tap, mut entries) = (Tap::default(), 0);
        let mut walk = |bytes: &[u8]| {
            tap.push(bytes, &mut |_| entries += 1).map_err(|e| damaged(format!("The copy's tar is broken {e}.")))?;
            out(bytes)
        };
        for range in &plan.ranges {
            archive.range(range, &mut walk)?;
        }
        walk(&END_MARK)?;
        if entries == plan.entries { Ok(()) } else { Err(damaged("The copy does not hold what its index says.")) }
    })
}

/// The selection while entries go by.
struct Selection {
    wanted: Vec<String>,
    by_path: std::collections::HashMap<Vec<u8>, usize>,
    found: HashSet<usize>,
    ranges: Vec<Range<u64>>,
    entries: u64,
    file_bytes: u64,
    link_targets: HashSet<Vec<u8>>,
    added: Vec<String>,
}

impl Selection {
    fn new(wanted: Vec<String>) -> Self {
        let by_path = wanted.iter().enumerate().map(|(at, path)| (comparable(path.as_bytes()).to_vec(), at)).collect();
        Self {
            wanted,
            by_path,
            found: HashSet::new(),
            ranges: Vec::new(),
            entries: 0,
            file_bytes: 0,
            link_targets: HashSet::new(),
            added: Vec::new(),
        }
    }

    /// Marks every wanted path that `path` is or lies in; says whether there is one.
    fn is_wanted(&mut self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let mut is_wanted = false;
        for end in ends.chain([0, path.len()]) {
            if let Some(at) = self.by_path.get(&path[..end]) {
                is_wanted = true;
                self.found.insert(*at);
            }
        }
        is_wanted
    }

    fn first_pass(&mut self, entry: IndexEntry) -> Result<(), Failure> {
        let path = entry.path_bytes().into_owned();
        if !self.is_wanted(comparable(&path)) {
            return Ok(());
        }
        if entry.kind == EntryKind::Hardlink {
            let target = entry.link_bytes().unwrap_or_default().into_owned();
            let target = comparable(&target);
            if !self.covers(target) {
                self.link_targets.insert(target.to_vec());
            }
        }
        if self.link_targets.len() > MAX_LINK_TARGETS {
            return Err(too_scattered("hard links that point out of it"));
        }
        self.select(&entry)
    }

    fn second_pass(&mut self, entry: IndexEntry) -> Result<(), Failure> {
        let path = entry.path_bytes().into_owned();
        if entry.kind == EntryKind::Hardlink || !self.link_targets.remove(comparable(&path)) {
            return Ok(());
        }
        self.added.push(entry.path.clone());
        self.select(&entry)
    }

    /// Whether `path` is selected anyway.
    fn covers(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        ends.chain([0, path.len()]).any(|end| self.by_path.contains_key(&path[..end]))
    }

    fn select(&mut self, entry: &IndexEntry) -> Result<(), Failure> {
        let end = entry.offset.checked_add(entry.length).ok_or_else(|| damaged("The index has an endless entry."))?;
        self.entries += 1;
        if entry.kind == EntryKind::File {
            self.file_bytes = self.file_bytes.saturating_add(entry.size);
        }
        match self.ranges.last_mut() {
            Some(last) if last.end == entry.offset => last.end = end,
            _ => self.ranges.push(entry.offset..end),
        }
        if self.ranges.len() > MAX_RANGES { Err(too_scattered("separate parts")) } else { Ok(()) }
    }
}

/// In order, and joined where they touch.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| r.start);
    let mut out: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

fn too_scattered(what: &str) -> Failure {
    let detail = format!("The selection has too many {what}; restore a folder above it, or fewer paths at once.");
    Failure::new(Step::ReadCopy, FailureCode::RestoreIncomplete, detail)
}
