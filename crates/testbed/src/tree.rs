//! A file tree made from a number: the same seed gives the same bytes, names, links, times and attributes. It looks
//! like a server's disk (many small files, a few large ones, half of the bytes compressible) and holds what careless
//! programs trip over. It must never write outside the folder it was given.

pub mod content;
mod odd;

pub use odd::names as odd_names;

use anyhow::{Context, Result, ensure};
use content::{Contents, Numbers};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// Owners given out when `owners` is set: root, a service, two people, nobody, and one beyond what a classic tar
/// header can say.
const OWNERS: [(u32, u32); 6] = [(0, 0), (33, 33), (1000, 1000), (1001, 100), (65534, 65534), (3_000_000, 3_000_001)];
const FILE_MODES: [u32; 8] = [0o644, 0o644, 0o644, 0o600, 0o640, 0o755, 0o444, 0o400];
const FOLDER_MODES: [u32; 6] = [0o755, 0o755, 0o755, 0o750, 0o700, 0o711];
/// Shares of the bytes, in percent, that single large files take.
const LARGE_SHARES: [u64; 13] = [10, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1];
/// Below this size of the tree the large files would not be large.
const LARGE_FROM_BYTES: u64 = 16 << 20;
/// How deep ordinary folders lie.
const FOLDER_DEPTH_MAX: usize = 9;

/// What to make.
#[derive(Clone, Debug)]
pub struct TreeSpec {
    /// Decides everything that is not said here.
    pub seed: u64,
    /// How many ordinary files. Odd names, links and folders come on top.
    pub files: usize,
    /// What the ordinary files hold together.
    pub total_bytes: u64,
    /// Give files to several owners; needs root.
    pub owners: bool,
    /// Put a pipe among the files.
    pub fifo: bool,
}

impl TreeSpec {
    /// The tree of the demo and the bench: 38,000 files and 1.1 GiB.
    #[must_use]
    pub fn large(seed: u64, owners: bool) -> Self {
        Self { seed, files: 38_000, total_bytes: 1_181_116_006, owners, fifo: false }
    }

    /// The tree of a test: 300 files and 2 MiB.
    #[must_use]
    pub fn small(seed: u64, owners: bool) -> Self {
        Self { seed, files: 300, total_bytes: 2 << 20, owners, fifo: false }
    }
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeSummary {
    /// Regular files, each hard-linked one once.
    pub files: u64,
    /// Folders, the root included.
    pub folders: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files that have one already.
    pub hard_links: u64,
    /// What the ordinary files hold.
    pub bytes: u64,
    /// Files with extended attributes or an access list; 0 where the file system has none.
    pub with_attributes: u64,
}

impl TreeSummary {
    /// Everything a listing of the tree shows, the root included; a pipe is not counted.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.files + self.folders + self.symlinks + self.hard_links
    }
}

/// What a file gets besides its content.
struct Meta {
    mode: u32,
    owner: Option<(u32, u32)>,
    mtime: Timespec,
}

/// Makes the tree in `root`, which must not exist yet.
///
/// # Errors
/// The root exists, the disk is full, or `owners` was asked for without root.
pub fn generate(root: &Path, spec: &TreeSpec) -> Result<TreeSummary> {
    ensure!(!root.exists(), "{} exists; a tree is only made in a new folder", root.display());
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let mut maker = Maker {
        root,
        spec,
        numbers: Numbers::new(spec.seed),
        contents: Contents::new(spec.seed),
        files: Vec::new(),
        folders: Vec::new(),
        others: Vec::new(),
        made: TreeSummary::default(),
    };
    maker.ordinary_folders()?;
    maker.ordinary_files()?;
    maker.odd_entries()?;
    maker.symbolic_links()?;
    maker.attributes_and_modes()?;
    maker.hard_links()?;
    maker.finish()
}

struct Maker<'a> {
    root: &'a Path,
    spec: &'a TreeSpec,
    numbers: Numbers,
    contents: Contents,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Links and pipes: an owner and a time, but no mode or attributes of their own.
    others: Vec<PathBuf>,
    made: TreeSummary,
}

impl Maker<'_> {
    /// One folder for about twenty files; a few stay empty.
    fn ordinary_folders(&mut self) -> Result<()> {
        self.folders.push(self.root.to_owned());
        let base_depth = self.root.components().count();
        for number in 0..(self.spec.files / 20).max(4) {
            let parent = self.numbers.below(self.folders.len());
            let parent = &self.folders[parent];
            let parent =
                if parent.components().count() - base_depth < FOLDER_DEPTH_MAX { parent.as_path() } else { self.root };
            let folder =
                parent.join(format!("{}-{number}", self.numbers.pick(&["src", "lib", "data", "log", "assets"])));
            fs::create_dir(&folder)?;
            self.folders.push(folder);
        }
        Ok(())
    }

    fn ordinary_files(&mut self) -> Result<()> {
        let mut buffer = Vec::new();
        for (number, size) in sizes(&mut self.numbers, self.spec).into_iter().enumerate() {
            // A third of all bytes is noise, so that zstd -3 halves the tree; large files alternate by position.
            let is_noise = if number < LARGE_SHARES.len() { number % 3 == 0 } else { self.numbers.below(15) < 4 };
            let size = usize::try_from(size)?;
            if is_noise {
                self.contents.noise(&mut self.numbers, size, &mut buffer);
            } else {
                self.contents.text(&mut self.numbers, size, &mut buffer);
            }
            let suffix = if is_noise {
                self.numbers.pick(&["jpg", "gz", "bin"])
            } else {
                self.numbers.pick(&["txt", "rs", "log"])
            };
            let folder = self.numbers.below(self.folders.len());
            let path = self.folders[folder].join(format!("file-{number}.{suffix}"));
            fs::write(&path, &buffer).with_context(|| format!("cannot write {}", path.display()))?;
            self.made.bytes += size as u64;
            self.files.push(path);
        }
        Ok(())
    }

    fn odd_entries(&mut self) -> Result<()> {
        let odd = self.root.join("odd");
        fs::create_dir(&odd)?;
        for (files, folders) in [odd::name_entries(&odd)?, odd::deep_entries(&odd)?] {
            self.files.extend(files);
            self.folders.extend(folders);
        }
        let links = odd::symlinks(&odd, &self.files[0], &self.folders[1])?;
        self.made.symlinks += links.len() as u64;
        self.others.extend(links);
        let sparse = odd.join("sparse");
        fs::File::create(&sparse)?.set_len(1 << 20)?;
        self.files.push(sparse);
        self.folders.extend([odd.join("links"), odd.join("empty"), odd.clone()]);
        fs::create_dir(odd.join("empty"))?;
        if self.spec.fifo {
            odd::fifo(&odd.join("pipe"))?;
            self.others.push(odd.join("pipe"));
        }
        Ok(())
    }

    /// Relative links between ordinary files, one for twenty files.
    fn symbolic_links(&mut self) -> Result<()> {
        for number in 0..self.spec.files / 20 {
            let folder = self.numbers.below(self.spec.files / 20).min(self.folders.len() - 1);
            let folder = self.folders[folder].clone();
            let file = &self.files[self.numbers.below(self.spec.files)];
            let up = folder.strip_prefix(self.root)?.components().map(|_| "..").collect::<PathBuf>();
            let link = folder.join(format!("link-{number}"));
            symlink(up.join(file.strip_prefix(self.root)?), &link)?;
            self.made.symlinks += 1;
            self.others.push(link);
        }
        Ok(())
    }

    /// Owner, attributes, mode and time of every file and link, in the order in which the kernel keeps them: a change
    /// of owner clears mode bits, and attributes cannot be written once the mode forbids writing.
    fn attributes_and_modes(&mut self) -> Result<()> {
        for number in 0..self.files.len() {
            let meta = self.meta(&FILE_MODES);
            let (has_attributes, has_list) = (self.numbers.one_in(40), self.numbers.one_in(200));
            let path = &self.files[number];
            if let Some((user, group)) = meta.owner {
                lchown(path, Some(user), Some(group))?;
            }
            let mut is_marked = has_attributes && odd::set_attributes(path, number as u64)?;
            fs::set_permissions(path, fs::Permissions::from_mode(meta.mode))?;
            is_marked |= has_list && odd::set_access_list(path, &meta)?;
            set_mtime(path, meta.mtime)?;
            self.made.with_attributes += u64::from(is_marked);
        }
        for other in std::mem::take(&mut self.others) {
            let meta = self.meta(&[0o777]);
            if let Some((user, group)) = meta.owner {
                lchown(&other, Some(user), Some(group))?;
            }
            set_mtime(&other, meta.mtime)?;
        }
        Ok(())
    }

    /// A further name for one file of a hundred, sometimes two, in other folders.
    fn hard_links(&mut self) -> Result<()> {
        for number in 0..self.spec.files / 100 {
            let file = self.files[self.numbers.below(self.spec.files)].clone();
            for copy in 0..1 + self.numbers.below(2) {
                let folder = self.numbers.below(self.folders.len());
                fs::hard_link(&file, self.folders[folder].join(format!("hard-{number}-{copy}")))?;
                self.made.hard_links += 1;
            }
        }
        Ok(())
    }

    /// Folders come last, the deepest first: making an entry changes the time of its folder.
    fn finish(mut self) -> Result<TreeSummary> {
        let mut folders = std::mem::take(&mut self.folders);
        folders.sort();
        folders.dedup();
        for (number, folder) in folders.iter().enumerate().rev() {
            let meta = self.meta(&FOLDER_MODES);
            if let Some((user, group)) = meta.owner {
                lchown(folder, Some(user), Some(group))?;
            }
            if number % 50 == 1 {
                self.made.with_attributes += u64::from(odd::set_attributes(folder, number as u64)?);
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(meta.mode))?;
            set_mtime(folder, meta.mtime)?;
        }
        self.made.folders = folders.len() as u64;
        self.made.files = self.files.len() as u64;
        Ok(self.made)
    }

    /// Times lie between 2001 and 2023: tar warns about times of the future and of before 1970.
    fn meta(&mut self, modes: &[u32]) -> Meta {
        let owner = self.numbers.pick(&OWNERS);
        Meta {
            mode: self.numbers.pick(modes),
            owner: self.spec.owners.then_some(owner),
            mtime: Timespec {
                tv_sec: 1_000_000_000 + self.numbers.below(700_000_000) as i64,
                tv_nsec: self.numbers.below(1_000_000_000) as _,
            },
        }
    }
}

/// Sizes of the ordinary files, the large ones first; together exactly `total_bytes`.
fn sizes(numbers: &mut Numbers, spec: &TreeSpec) -> Vec<u64> {
    let mut sizes: Vec<u64> = Vec::with_capacity(spec.files);
    if spec.total_bytes >= LARGE_FROM_BYTES && spec.files > 2 * LARGE_SHARES.len() {
        sizes.extend(LARGE_SHARES.iter().map(|share| spec.total_bytes * share / 100));
    }
    let left = spec.total_bytes - sizes.iter().sum::<u64>();
    // Spread over twelve powers of two, as on real disks; one in a hundred is empty.
    let weights: Vec<u64> = (sizes.len()..spec.files)
        .map(|_| {
            let power = 1_u64 << numbers.below(12);
            let weight = power + numbers.draw() % power;
            if numbers.one_in(100) { 0 } else { weight }
        })
        .collect();
    let sum = weights.iter().sum::<u64>().max(1);
    sizes.extend(weights.iter().map(|weight| (u128::from(left) * u128::from(*weight) / u128::from(sum)) as u64));
    let missing = spec.total_bytes - sizes.iter().sum::<u64>();
    if let Some(last) = sizes.last_mut() {
        *last += missing;
    }
    sizes
}

fn set_mtime(path: &Path, mtime: Timespec) -> Result<()> {
    let times = Timestamps { last_access: mtime, last_modification: mtime };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("cannot set the time of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{CompareOptions, compare};

    #[test]
    fn the_same_seed_gives_the_same_tree_and_another_seed_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_root = rustix::process::geteuid().is_root();
        let spec = TreeSpec { fifo: true, ..TreeSpec::small(7, is_root) };
        let one = generate(&folder.path().join("one"), &spec).expect("a tree");
        let two = generate(&folder.path().join("two"), &spec).expect("a tree");
        assert_eq!(one, two);
        assert_eq!(one.bytes, spec.total_bytes);
        let options = CompareOptions { owners: is_root };
        // Absolute links name the tree they are in; everything else is equal.
        let same = compare(&folder.path().join("one"), &folder.path().join("two"), &options).expect("compared");
        assert_eq!(same.total(), 2, "{same}");
        assert_eq!(same.entries, one.entries() + 1);

        generate(&folder.path().join("three"), &TreeSpec::small(8, false)).expect("a tree");
        let other = compare(&folder.path().join("one"), &folder.path().join("three"), &options).expect("compared");
        assert!(!other.is_equal());
    }

    #[test]
    fn a_tree_holds_every_kind_of_entry() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = generate(&folder.path().join("tree"), &TreeSpec::small(1, false)).expect("a tree");
        assert!(made.files > 300 && made.folders > 50 && made.symlinks > 20 && made.hard_links >= 3, "{made:?}");
        let names: Vec<Vec<u8>> = fs::read_dir(folder.path().join("tree/odd/files"))
            .expect("a folder")
            .map(|entry| std::os::unix::ffi::OsStringExt::into_vec(entry.expect("an entry").file_name()))
            .collect();
        assert!(odd_names().iter().all(|name| names.contains(name)));
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = generate(folder.path(), &TreeSpec::small(1, false)).expect_err("the folder exists");
        assert!(error.to_string().contains("exists"), "{error}");
    }
}
