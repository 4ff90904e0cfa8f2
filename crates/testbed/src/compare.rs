//! Compares two trees entry by entry: kind, content byte by byte, mode, owner, time, links, attributes. It reads and
//! never writes, and it follows no symbolic link.

mod aspects;

pub use aspects::Aspect;

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How many differences are kept with their path; all are counted.
const NAMED_MAX: usize = 20;

/// What to compare besides kind, content, mode, time, links and attributes.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Owner and group; an unprivileged restore cannot set them.
    pub owners: bool,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub aspect: Aspect,
    /// Relative to both roots.
    pub path: PathBuf,
    /// What was expected and what is there, for a reader.
    pub detail: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Entries of the expected tree, its root included.
    pub entries: u64,
    /// Bytes of file content read from the expected tree.
    pub bytes: u64,
    /// Differences of each aspect.
    pub counts: BTreeMap<Aspect, u64>,
    /// The first ones.
    pub first: Vec<Difference>,
}

impl Comparison {
    /// All differences.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.counts.is_empty()
    }

    fn add(&mut self, aspect: Aspect, path: &Path, detail: String) {
        *self.counts.entry(aspect).or_default() += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(Difference { aspect, path: path.to_owned(), detail });
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_equal() {
            return write!(f, "{} entries, all equal", self.entries);
        }
        writeln!(f, "{} entries, {} differences:", self.entries, self.total())?;
        for (aspect, count) in &self.counts {
            writeln!(f, "  {aspect}: {count}")?;
        }
        for difference in &self.first {
            writeln!(f, "  {:?}: {}: {}", difference.path, difference.aspect, difference.detail)?;
        }
        Ok(())
    }
}

/// Compares `actual` with `expected`.
///
/// # Errors
/// A folder or file of either tree cannot be read; differences are not errors.
pub fn compare(expected: &Path, actual: &Path, options: &CompareOptions) -> Result<Comparison> {
    let mut walk = Walk { expected, actual, options, links: Links::default(), found: Comparison::default() };
    let mut folders = Vec::new();
    if walk.entry(Path::new(""))? {
        folders.push(PathBuf::new());
    }
    while let Some(folder) = folders.pop() {
        let (ours, theirs) = (names(&expected.join(&folder))?, names(&actual.join(&folder))?);
        for name in theirs.difference(&ours) {
            walk.found.add(Aspect::Unexpected, &folder.join(name), "is only in the second tree".to_owned());
        }
        for name in &ours {
            let path = folder.join(name);
            if !theirs.contains(name) {
                let below = count_below(&expected.join(&path))?;
                walk.found.entries += below;
                walk.found.add(
                    Aspect::Missing,
                    &path,
                    format!("is only in the first tree, with {} below it", below - 1),
                );
            } else if walk.entry(&path)? {
                folders.push(path);
            }
        }
    }
    Ok(walk.found)
}

/// First path seen of each file that has several names, on both sides: two names belong together on one side exactly
/// when they do on the other.
#[derive(Default)]
struct Links {
    expected: HashMap<(u64, u64), PathBuf>,
    actual: HashMap<(u64, u64), PathBuf>,
}

struct Walk<'a> {
    expected: &'a Path,
    actual: &'a Path,
    options: &'a CompareOptions,
    links: Links,
    found: Comparison,
}

impl Walk<'_> {
    /// Compares one entry; true if both are folders, to be entered.
    fn entry(&mut self, path: &Path) -> Result<bool> {
        let (ours, theirs) = (join(self.expected, path), join(self.actual, path));
        let (expected, actual) = (metadata(&ours)?, metadata(&theirs)?);
        self.found.entries += 1;
        if expected.file_type() != actual.file_type() {
            let detail = format!("{} expected, {} found", aspects::kind(&expected), aspects::kind(&actual));
            self.found.add(Aspect::Kind, path, detail);
            return Ok(false);
        }
        for (aspect, detail) in aspects::of_inode(&expected, &actual, self.options.owners) {
            self.found.add(aspect, path, detail);
        }
        if let Some(detail) = aspects::attributes(&ours, &theirs)? {
            self.found.add(Aspect::Attributes, path, detail);
        }
        if expected.is_symlink() {
            let (wanted, got) = (fs::read_link(&ours)?, fs::read_link(&theirs)?);
            if wanted != got {
                self.found.add(Aspect::SymlinkTarget, path, format!("{wanted:?} expected, {got:?} found"));
            }
        } else if expected.is_file() && !self.is_known_link(path, &expected, &actual) {
            self.found.bytes += expected.len();
            if let Some(detail) = aspects::content(&ours, &theirs)? {
                self.found.add(Aspect::Content, path, detail);
            }
        }
        Ok(expected.is_dir())
    }

    /// Notes the names of a file with several, and their difference; true if its content was compared before.
    fn is_known_link(&mut self, path: &Path, expected: &Metadata, actual: &Metadata) -> bool {
        if expected.nlink() == 1 && actual.nlink() == 1 {
            return false;
        }
        let first = |map: &mut HashMap<_, PathBuf>, meta: &Metadata| {
            map.entry((meta.dev(), meta.ino())).or_insert_with(|| path.to_owned()).clone()
        };
        let (wanted, got) = (first(&mut self.links.expected, expected), first(&mut self.links.actual, actual));
        if wanted != got {
            let detail = format!("expected to be the same file as {wanted:?}, but is the same as {got:?}");
            self.found.add(Aspect::HardLink, path, detail);
        }
        wanted == got && wanted != path
    }
}

/// `root` itself for the empty path: `join("")` would add a slash, and follow a link.
fn join(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) }
}

fn metadata(path: &Path) -> Result<Metadata> {
    fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))
}

fn names(folder: &Path) -> Result<BTreeSet<OsString>> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect())
        .with_context(|| format!("cannot list {}", folder.display()))
}

/// Entries at and below `path`.
fn count_below(path: &Path) -> Result<u64> {
    let (mut count, mut left) = (0, vec![path.to_owned()]);
    while let Some(path) = left.pop() {
        count += 1;
        if metadata(&path)?.is_dir() {
            left.extend(names(&path)?.into_iter().map(|name| path.join(name)));
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
