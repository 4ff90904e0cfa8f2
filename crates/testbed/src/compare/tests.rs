//! Each kind of difference is found, and nothing else is.

use super::*;
use rustix::fs::{FileType, Mode, XattrFlags};
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

/// Makes the same little tree twice, changes the second with `change`, and compares.
fn after(change: impl FnOnce(&Path)) -> Comparison {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, actual) = (folder.path().join("expected"), folder.path().join("actual"));
    for root in [&expected, &actual] {
        fs::create_dir_all(root.join("sub/empty")).expect("folders");
        fs::write(root.join("sub/a"), vec![b'a'; 300_000]).expect("a file");
        fs::write(root.join("b"), b"bb").expect("a file");
        fs::hard_link(root.join("b"), root.join("sub/b2")).expect("a link");
        symlink("sub/a", root.join("link")).expect("a link");
    }
    change(&actual);
    for root in [&expected, &actual] {
        for path in ["sub/a", "b", "sub/b2", "link", "sub/empty", "sub", ""] {
            let path = join(root, Path::new(path));
            // What was made or changed just now gets one time; a time that the change set stays.
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.mtime() > 1_500_000_000) {
                set_time(&path, 1_400_000_000, 123_456_789);
            }
        }
    }
    compare(&expected, &actual, &CompareOptions { owners: true }).expect("compared")
}

fn set_time(path: &Path, secs: i64, nanos: i64) {
    let at = rustix::fs::Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = rustix::fs::Timestamps { last_access: at, last_modification: at };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

/// Exactly one difference, of `aspect`, at `path`.
fn assert_one(found: &Comparison, aspect: Aspect, path: &str) {
    assert_eq!(found.counts, BTreeMap::from([(aspect, 1)]), "{found}");
    assert_eq!(found.first[0].path, Path::new(path), "{found}");
    assert!(!found.is_equal() && found.to_string().contains(&aspect.to_string()));
}

#[test]
fn equal_trees_are_equal() {
    let found = after(|_| {});
    assert!(found.is_equal(), "{found}");
    assert_eq!((found.entries, found.bytes), (7, 300_002));
}

#[test]
fn a_missing_entry_is_found_with_what_is_below_it() {
    let found = after(|root| fs::remove_dir_all(root.join("sub/empty")).expect("removed"));
    assert_one(&found, Aspect::Missing, "sub/empty");
    assert_eq!(found.entries, 7);
}

#[test]
fn an_unexpected_entry_is_found() {
    assert_one(&after(|root| fs::write(root.join("sub/new"), b"").expect("written")), Aspect::Unexpected, "sub/new");
}

#[test]
fn another_kind_is_found() {
    let found = after(|root| {
        fs::remove_dir(root.join("sub/empty")).expect("removed");
        rustix::fs::mknodat(rustix::fs::CWD, root.join("sub/empty"), FileType::Fifo, Mode::RUSR, 0).expect("a pipe");
    });
    assert_one(&found, Aspect::Kind, "sub/empty");
}

#[test]
fn one_changed_byte_beyond_the_first_chunk_is_found() {
    let found = after(|root| {
        let mut bytes = vec![b'a'; 300_000];
        bytes[299_999] = b'b';
        fs::write(root.join("sub/a"), bytes).expect("written");
    });
    assert_one(&found, Aspect::Content, "sub/a");
    assert!(found.first[0].detail.ends_with("299999"), "{found}");
}

#[test]
fn another_length_is_found() {
    assert_one(&after(|root| fs::write(root.join("sub/a"), b"a").expect("written")), Aspect::Content, "sub/a");
}

#[test]
fn another_mode_is_found_on_files_and_folders() {
    for path in ["sub/a", "sub/empty"] {
        let found = after(|root| {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o1700)).expect("a mode");
        });
        assert_one(&found, Aspect::Mode, path);
    }
}

#[test]
fn another_owner_is_found_even_on_a_link() {
    if rustix::process::geteuid().is_root() {
        let found = after(|root| lchown(root.join("link"), Some(4711), None).expect("an owner"));
        assert_one(&found, Aspect::Owner, "link");
    }
}

#[test]
fn a_nanosecond_is_found() {
    assert_one(&after(|root| set_time(&root.join("sub/a"), 1_400_000_000, 123_456_788)), Aspect::Mtime, "sub/a");
}

#[test]
fn another_target_is_found() {
    let found = after(|root| {
        fs::remove_file(root.join("link")).expect("removed");
        symlink("sub/b", root.join("link")).expect("a link");
    });
    assert_one(&found, Aspect::SymlinkTarget, "link");
}

#[test]
fn a_hard_link_that_became_a_copy_is_found() {
    let found = after(|root| {
        fs::remove_file(root.join("sub/b2")).expect("removed");
        fs::write(root.join("sub/b2"), b"bb").expect("written");
    });
    assert_one(&found, Aspect::HardLink, "sub/b2");
}

#[test]
fn other_attributes_are_found() {
    let found = after(|root| {
        rustix::fs::setxattr(root.join("sub/a"), "user.new", b"value", XattrFlags::empty()).expect("an attribute");
    });
    assert_one(&found, Aspect::Attributes, "sub/a");
    assert!(found.first[0].detail.contains("user.new"), "{found}");
}

#[test]
fn a_root_that_is_a_link_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("real")).expect("a folder");
    symlink("real", folder.path().join("link")).expect("a link");
    let options = CompareOptions { owners: false };
    let found = compare(&folder.path().join("real"), &folder.path().join("link"), &options).expect("compared");
    assert_one(&found, Aspect::Kind, "");
}
