//! The index of real trees, listings of it, and selections given back through real `tar`.

use crate::support::{Stored, memory, noise, read_all, recipients, run, store};
use holdfast_domain::FailureCode;
use holdfast_pipeline::index::{Listing, list};
use holdfast_pipeline::restore_plan::{Plan, plan, selected};
use holdfast_pipeline::{EncodeOptions, Encryption, EntryKind, IndexEntry, StreamFormat, index};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

/// Names that have broken backup tools.
const ODD: &[&[u8]] = &[
    b"-rf",
    b"a b",
    b"line\nfeed",
    b"29 path=evil\nx",
    b"quote'\"`$(id)",
    b"back\\slash",
    b"not utf8 \xff\xfe",
    "umlaut ü und \u{202e}drehung".as_bytes(),
    b"\x1b[31mred",
];

fn odd_tree(at: &Path) {
    let top = at.join("tree");
    fs::create_dir_all(top.join("empty")).expect("is made");
    for (i, name) in ODD.iter().enumerate() {
        let folder = top.join(OsStr::from_bytes(name));
        fs::create_dir(&folder).expect("is made");
        fs::write(folder.join(OsStr::from_bytes(name)), noise(i * 700, 1 + i as u64)).expect("is written");
    }
    let long = top.join("l".repeat(200)).join("m".repeat(200));
    fs::create_dir_all(&long).expect("is made");
    fs::write(long.join("n".repeat(250)), "long").expect("is written");
    symlink("o".repeat(300), top.join("to a long name")).expect("is linked");
    fs::write(top.join("big"), noise(9 << 20, 77)).expect("is written");
    fs::hard_link(top.join("big"), top.join("other name of big")).expect("is linked");
    fs::write(top.join("sparse"), b"").expect("is written");
    fs::OpenOptions::new().write(true).open(top.join("sparse")).and_then(|f| f.set_len(50 << 20)).expect("is grown");
    run("mkfifo", &["tree/pipe"], at).expect("is made");
}

async fn stored_tree(at: &Path, tar_args: &[&str]) -> Stored {
    let args: Vec<&str> = tar_args.iter().copied().chain(["-cf", "-", "tree"]).collect();
    let tar = run("tar", &args, at).expect("tar makes it");
    store(&tar, 100_000, EncodeOptions::new(StreamFormat::Tar, recipients())).await.expect("stores")
}

async fn entries(stored: &Stored) -> Vec<IndexEntry> {
    let made = stored.encoded.index.as_ref().expect("has an index");
    let push = |all: &mut Vec<IndexEntry>, entry| {
        all.push(entry);
        Ok(())
    };
    let scanned = index::scan(memory(&stored.index), made.key.clone(), made.stored.clone(), Vec::new(), push).await;
    scanned.expect("opens").0
}

async fn planned(stored: &Stored, wanted: &[&str]) -> Plan {
    let made = stored.encoded.index.as_ref().expect("has an index");
    let wanted = wanted.iter().map(|w| (*w).to_owned()).collect();
    plan(memory(&stored.index), made.key.clone(), made.stored.clone(), wanted).await.expect("is planned")
}

async fn listed(stored: &Stored, folder: Option<&str>, page: (u64, u64)) -> Listing {
    let made = stored.encoded.index.as_ref().expect("has an index");
    list(memory(&stored.index), made.key.clone(), made.stored.clone(), folder, page).await.expect("is listed")
}

/// Every path below `at/tree` with what it is.
fn walk(at: &Path) -> BTreeMap<Vec<u8>, (u64, u32)> {
    let found = run("find", &["tree", "-print0"], at).expect("find walks");
    let mut all = BTreeMap::new();
    for path in found.split(|b| *b == 0).filter(|p| !p.is_empty()) {
        let metadata = fs::symlink_metadata(at.join(OsStr::from_bytes(path))).expect("is there");
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        all.insert(path.to_vec(), (size, metadata.mode() & 0o7777));
    }
    all
}

async fn the_index_equals_the_tree(tar_args: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), tar_args).await;
    let tree = walk(folder.path());
    let entries = entries(&stored).await;
    assert_eq!(entries.len(), tree.len());
    assert_eq!(stored.encoded.nfiles, tree.len() as u64);
    let mut end = 0;
    for entry in &entries {
        let bytes = entry.path_bytes();
        let path = bytes.strip_suffix(b"/").unwrap_or(&bytes);
        let (size, mode) = tree.get(path).unwrap_or_else(|| panic!("{:?} is not in the tree", entry.path));
        if entry.kind == EntryKind::File {
            assert_eq!(entry.size, *size, "{}", entry.path);
        }
        assert_eq!(entry.mode, *mode, "{}", entry.path);
        assert_eq!(entry.offset, end, "entries lie next to each other");
        end = entry.offset + entry.length;
    }
    let link = entries.iter().find(|e| e.path == "tree/to a long name").expect("is there");
    assert_eq!((link.kind, link.link.as_deref()), (EntryKind::Symlink, Some("o".repeat(300).as_str())));
}

#[tokio::test]
async fn the_index_of_a_posix_tar_equals_the_tree() {
    the_index_equals_the_tree(&["--format=posix", "--sort=name", "--xattrs", "--acls", "--numeric-owner"]).await;
}

#[tokio::test]
async fn the_index_of_a_gnu_tar_equals_the_tree() {
    the_index_equals_the_tree(&["--format=gnu", "--sort=name"]).await;
}

#[tokio::test]
async fn the_index_of_sparse_tars_equals_the_tree() {
    the_index_equals_the_tree(&["--format=posix", "--sort=name", "--sparse"]).await;
    the_index_equals_the_tree(&["--format=gnu", "--sort=name", "--sparse"]).await;
}

#[tokio::test]
async fn every_single_path_comes_back_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), &["--format=posix", "--sort=name", "--sparse"]).await;
    let plain: [&[u8]; 3] = [b"sparse", b"big", b"empty"];
    for name in ODD.iter().filter(|n| std::str::from_utf8(n).is_ok()).chain(&plain) {
        let wanted = format!("/tree/{}", String::from_utf8_lossy(name));
        let plan = planned(&stored, &[&wanted]).await;
        assert!(plan.missing.is_empty() && plan.added_link_targets.is_empty(), "{wanted:?}");
        let tar = read_all(selected(memory(&stored.body), stored.encoded.key.clone(), &plan)).await.expect("is given");
        assert_eq!(tar.len() as u64, plan.tar_bytes());
        let out = tempfile::tempdir().expect("a folder");
        fs::write(out.path().join("s.tar"), tar).expect("is written");
        run("tar", &["-xf", "s.tar"], out.path()).expect("tar opens it");
        let path = Path::new("tree").join(OsStr::from_bytes(name));
        let (left, right) = (folder.path().join(&path), out.path().join(&path));
        let (left, right) = (left.into_os_string().into_vec(), right.into_os_string().into_vec());
        let args = [String::from_utf8(left).expect("text"), String::from_utf8(right).expect("text")];
        run("diff", &["-r", "--no-dereference", "--", &args[0], &args[1]], out.path()).expect("nothing differs");
        let others = fs::read_dir(out.path().join("tree")).expect("is there").count();
        assert_eq!(others, 1, "{wanted:?}: only what was asked for");
    }
}

#[tokio::test]
async fn a_hard_link_brings_the_file_it_points_to() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), &["--format=posix", "--sort=name"]).await;
    let plan = planned(&stored, &["/tree/other name of big"]).await;
    assert_eq!(plan.added_link_targets, ["tree/big"]);
    assert_eq!(plan.entries, 2);
    let tar = read_all(selected(memory(&stored.body), stored.encoded.key.clone(), &plan)).await.expect("is given");
    let out = tempfile::tempdir().expect("a folder");
    fs::write(out.path().join("s.tar"), tar).expect("is written");
    run("tar", &["-xf", "s.tar"], out.path()).expect("tar opens it");
    assert!(fs::read(out.path().join("tree/other name of big")).expect("is there") == noise(9 << 20, 77));
}

#[tokio::test]
async fn what_is_not_there_is_named_and_what_overlaps_comes_once() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), &["--format=posix", "--sort=name"]).await;
    let plan = planned(&stored, &["/tree/a b", "tree/a b/a b", "/tree/nothing", "/tre"]).await;
    assert_eq!(plan.missing, ["/tree/nothing", "/tre"]);
    assert_eq!((plan.entries, plan.ranges.len()), (2, 1));
    let all = planned(&stored, &["/"]).await;
    assert_eq!((all.entries, all.ranges.len()), (stored.encoded.nfiles, 1));
}

#[tokio::test]
async fn a_selection_reads_only_its_own_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let tar = run("tar", &["--format=posix", "--sort=name", "-cf", "-", "tree"], folder.path()).expect("tar makes it");
    let mut changed = tar.clone();
    // Amid the random bytes of `big`, so that both come to the same size.
    let wanted = &noise(9 << 20, 77)[5 << 20..(5 << 20) + 64];
    let middle = tar.windows(64).position(|w| w == wanted).expect("is there");
    changed[middle] ^= 1;
    // Not encrypted: there the key does not tell them apart, and age's header is not of a random length.
    let options = || EncodeOptions::new(StreamFormat::Tar, Encryption::None);
    let stored = store(&tar, 100_000, options()).await.expect("stores");
    let other = store(&changed, 100_000, options()).await.expect("stores");
    assert_eq!(stored.body.len(), other.body.len(), "the same size, or the test shows less than it says");
    let plan = planned(&stored, &["/tree/big"]).await;
    let exchanged = read_all(selected(memory(&other.body), other.encoded.key.clone(), &plan)).await;
    assert_eq!(exchanged.expect_err("refused").code, FailureCode::CopyDamaged);
}

#[tokio::test]
async fn a_folder_is_listed_page_by_page() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), &["--format=posix", "--sort=name"]).await;
    let all = listed(&stored, Some("/tree"), (0, 1000)).await;
    let on_disk = fs::read_dir(folder.path().join("tree")).expect("is there").count() as u64;
    assert_eq!((all.total, all.entries.len() as u64), (on_disk, on_disk));
    let mut paged = Vec::new();
    for offset in (0..on_disk).step_by(3) {
        let page = listed(&stored, Some("tree/"), (offset, 3)).await;
        assert_eq!(page.total, on_disk);
        paged.extend(page.entries);
    }
    assert_eq!(paged, all.entries);
    let top = listed(&stored, None, (0, 10)).await;
    assert_eq!(top.entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["tree"]);
    assert!(listed(&stored, Some("/nothing"), (0, 10)).await.entries.is_empty());
}

#[tokio::test]
async fn folders_without_an_entry_are_listed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in ["tree/var/www/a", "tree/etc/x", "tree/var/lib/b"] {
        fs::create_dir_all(folder.path().join(path)).expect("is made");
    }
    let args = ["--format=posix", "-cf", "-", "tree/var/www", "tree/etc", "tree/var/lib"];
    let tar = run("tar", &args, folder.path()).expect("tar makes it");
    let stored = store(&tar, 5000, EncodeOptions::new(StreamFormat::Tar, recipients())).await.expect("stores");
    let shown = |listing: Listing| listing.entries.into_iter().map(|e| (e.name, e.is_implied)).collect::<Vec<_>>();
    assert_eq!(shown(listed(&stored, None, (0, 10)).await), [("tree".to_owned(), true)]);
    let below = listed(&stored, Some("/tree"), (0, 10)).await;
    assert_eq!(below.total, 2);
    assert_eq!(shown(below), [("var".to_owned(), true), ("etc".to_owned(), false)]);
    let var = listed(&stored, Some("/tree/var"), (0, 10)).await;
    assert_eq!(shown(var), [("www".to_owned(), false), ("lib".to_owned(), false)]);
}

#[tokio::test]
async fn a_harmed_index_shows_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let stored = stored_tree(folder.path(), &["--format=posix"]).await;
    let made = stored.encoded.index.as_ref().expect("has an index");
    for at in (0..stored.index.len()).step_by(97) {
        let mut bad = stored.index.clone();
        bad[at] ^= 1;
        let listing = list(memory(&bad), made.key.clone(), made.stored.clone(), None, (0, 10)).await;
        assert_eq!(listing.expect_err("refused").code, FailureCode::CopyDamaged, "byte {at}");
    }
}

#[tokio::test]
async fn a_tar_without_its_end_is_no_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    odd_tree(folder.path());
    let tar = run("tar", &["--format=posix", "-cf", "-", "tree"], folder.path()).expect("tar makes it");
    let end = tar.len() - tar.iter().rev().take_while(|b| **b == 0).count();
    for cut in [0, 512, 5 << 20, end, end.next_multiple_of(512), end.next_multiple_of(512) + 512] {
        let made = store(&tar[..cut], 65_536, EncodeOptions::new(StreamFormat::Tar, recipients())).await;
        assert_eq!(made.err().expect("has no end").code, FailureCode::SourceIncomplete, "cut at {cut}");
    }
}
